/**
 * Three players behind one face. A player is made of
 *
 *   load(startS)            resolves when it has the manifest; raises PlayerError
 *   destroy()               resolves when its last CMCD report is on its way
 *   ladder()                [{height, bitrateKbps}], video and sound together, lowest first
 *   chosen()                {height, bitrateKbps} that it fetches now, or null
 *   throughputKbps()        its own estimate, or null
 *   audioTracks(), textTracks()      [{id, label, language, isActive}]
 *   chooseAudio(id), chooseText(id)  id null: no subtitles
 *
 * and is given `{video, session, contentId, bufferS, onError, onBuffering, onTracks}`, where `session` is
 * the answer of POST /v1/sessions. Everything else the players do by themselves: licenses, CMCD,
 * steering, CMSD.
 */

import { createDashjs } from "./dashjs.js";
import { createHlsjs } from "./hlsjs.js";
import { loadLibrary } from "./library.js";
import { createShaka } from "./shaka.js";

export const PLAYERS = [
  { name: "shaka", label: "Shaka Player", protocol: "DASH", create: createShaka },
  { name: "dashjs", label: "dash.js", protocol: "DASH", create: createDashjs },
  { name: "hlsjs", label: "hls.js", protocol: "HLS", create: createHlsjs },
];

export async function createPlayer(name, given) {
  const library = await loadLibrary(name);
  return PLAYERS.find((player) => player.name === name).create(library, given);
}
