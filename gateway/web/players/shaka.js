/** Shaka Player plays DASH: ClearKey by the manifest's Laurl, ceilings by CMSD `mb`. */

import { BUFFER_S, CMCD_BATCH, CMCD_EVENTS, CMCD_INTERVAL_S, PlayerError, byHeight } from "./playback.js";

const CATEGORIES = {
  1: "The network does not deliver the video.",
  3: "The video could not be decoded.",
  4: "The manifest could not be read.",
  6: "The license was refused.",
};

export function createShaka(shaka, { video, session, contentId, bufferS = BUFFER_S, onError, onBuffering, onTracks }) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  player.configure(configuration(session, contentId, bufferS));
  player.addEventListener("error", (event) => onError(asPlayerError(event.detail)));
  player.addEventListener("buffering", (event) => onBuffering(event.buffering));
  for (const name of ["trackschanged", "variantchanged", "adaptation", "textchanged"]) {
    player.addEventListener(name, () => onTracks());
  }

  return {
    async load(startS) {
      try {
        await player.attach(video);
        await player.load(session.dash_url, startS || null);
      } catch (error) {
        throw asPlayerError(error);
      }
    },
    async destroy() {
      await player.unload(); // sends what CMCD has queued; destroy() alone would lose it
      await player.destroy();
    },
    ladder: () =>
      byHeight(player.getVariantTracks().map(asRendition)),
    chosen() {
      const active = player.getVariantTracks().find((track) => track.active);
      return active ? asRendition(active) : null;
    },
    throughputKbps: () => Math.round(player.getStats().estimatedBandwidth / 1000) || null,
    audioTracks: () =>
      player.getAudioTracks().map((track, index) => ({
        id: index,
        label: track.label,
        language: track.language,
        isActive: track.active,
      })),
    chooseAudio(id) {
      player.selectAudioTrack(player.getAudioTracks()[id]);
    },
    textTracks: () =>
      player.getTextTracks().map((track) => ({
        id: track.id,
        label: track.label,
        language: track.language,
        isActive: track.active,
      })),
    chooseText(id) {
      const track = player.getTextTracks().find((each) => each.id === id);
      player.selectTextTrack(track ?? null);
    },
  };
}

function configuration(session, contentId, bufferS) {
  return {
    streaming: { bufferingGoal: bufferS, rebufferingGoal: 1 },
    // Only the network and the ceiling choose: a busy machine that drops frames would blur which.
    abr: { switchInterval: 2, droppedFrames: false },
    cmcd: {
      enabled: true,
      version: 2,
      sessionId: session.session_id,
      contentId,
      useHeaders: false,
      includeKeys: [],
      eventTargets: [
        {
          enabled: true,
          url: session.cmcd_url,
          events: CMCD_EVENTS,
          interval: CMCD_INTERVAL_S,
          batchSize: CMCD_BATCH,
          includeKeys: [],
        },
      ],
    },
  };
}

const asRendition = (track) => ({
  height: track.height,
  bitrateKbps: Math.round(track.bandwidth / 1000),
});

function asPlayerError(error) {
  const isFatal = error.severity !== 1;
  const told = CATEGORIES[error.category] ?? "Playback failed.";
  return new PlayerError(`shaka ${error.code ?? "unknown"}`, told, isFatal);
}
