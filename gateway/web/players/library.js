/** Loads a player's own build as the gateway serves it, unmodified, and only when it is wanted. */

const LIBRARIES = {
  shaka: { file: "shaka-player.compiled.js", global: "shaka" },
  dashjs: { file: "dash.all.min.js", global: "dashjs" },
  hlsjs: { file: "hls.min.js", global: "Hls" },
};

const loading = new Map();

/** What the build puts on the page; raises Error where it cannot be loaded. */
export function loadLibrary(player) {
  const { file, global } = LIBRARIES[player];
  if (!loading.has(player)) loading.set(player, loadScript(`/players/${file}`, player));
  return loading.get(player).then(() => globalThis[global]);
}

function loadScript(url, player) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => {
      loading.delete(player);
      script.remove();
      reject(new Error("The player could not be loaded."));
    });
    document.head.append(script);
  });
}
