/**
 * Plays a session to its end as the product's page does, drawing nothing but the video, and notes
 * what is on the screen. Run in a blank page of the gateway's.
 */
async ({ player, session, contentId, cdns, bufferS, sampleMs, patienceMs }) => {
  const { Run } = await import("/web/run.js");
  const { loadLibrary } = await import("/web/players/library.js");
  await loadLibrary(player); // fetching the player is no part of its start-up

  const video = document.createElement("video");
  video.width = 320;
  document.body.replaceChildren(video);
  const startedMs = performance.now();
  const nowS = () => (performance.now() - startedMs) / 1000;
  const samples = [];
  const decisions = [];
  const note = () => samples.push([nowS(), video.currentTime, video.videoHeight]);

  const problem = await new Promise((resolve) => {
    const timer = setInterval(note, sampleMs);
    const settle = (told) => {
      clearInterval(timer);
      note();
      resolve(told);
    };
    setTimeout(() => settle(""), patienceMs);
    Run.start({
      api: { openSession: async () => session, endSession: async () => {} },
      profile: { profile_id: "" },
      title: { content_id: contentId },
      playerName: player,
      cdns,
      video,
      atMs: 0,
      bufferS,
      hooks: {
        onOpened: (run) => (globalThis.run = run),
        onEnded: () => settle(""),
        onFailed: (error) => settle(`${error.code ?? error.reason}: ${error.message}`),
        onTracks: () => {},
        onDecision: (decision) => decisions.push([nowS(), decision.ceiling_kbps]),
      },
    }).catch((error) => settle(String(error)));
  });
  await Promise.race([
    globalThis.run?.end("ended"),
    new Promise((resolve) => setTimeout(resolve, 5000)),
  ]);
  return { samples, decisions, problem };
};
