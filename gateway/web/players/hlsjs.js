/** hls.js plays HLS: ClearKey by an EME license server, ceilings by steering's ladder pathways. */

import { BUFFER_S, CMCD_BATCH, CMCD_EVENTS, CMCD_INTERVAL_S, PlayerError, byHeight } from "./playback.js";

const TYPES = {
  networkError: "The network does not deliver the video.",
  keySystemError: "The license was refused.",
  mediaError: "The video could not be decoded.",
};

/** Its own back-off (1, 2, 4, 8 s and on) outlasts the buffer before it asks the next CDN. */
const ERROR_RETRY = { maxNumRetry: 3, retryDelayMs: 1000, maxRetryDelayMs: 1000 };

export function createHlsjs(Hls, { video, session, contentId, bufferS = BUFFER_S, onError, onTracks }) {
  const hls = new Hls(configuration(Hls.DefaultConfig.fragLoadPolicy.default, session, contentId, bufferS));
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal && data.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    onError(asPlayerError(data, data.fatal && data.type !== Hls.ErrorTypes.MEDIA_ERROR));
  });
  for (const name of ["LEVELS_UPDATED", "LEVEL_SWITCHED", "AUDIO_TRACKS_UPDATED", "AUDIO_TRACK_SWITCHED", "SUBTITLE_TRACKS_UPDATED", "SUBTITLE_TRACK_SWITCH"]) {
    hls.on(Hls.Events[name], () => onTracks());
  }

  hls.subtitleDisplay = false;
  let textId = null;

  return {
    load(startS) {
      return new Promise((resolve, reject) => {
        hls.once(Hls.Events.MANIFEST_PARSED, () => resolve());
        hls.on(Hls.Events.ERROR, (_, data) => {
          if (data.fatal) reject(asPlayerError(data, true));
        });
        hls.config.startPosition = startS || -1;
        hls.loadSource(session.hls_url);
        hls.attachMedia(video);
      });
    },
    async destroy() {
      hls.destroy();
    },
    ladder: () => byHeight(hls.levels.map(asRendition)),
    chosen() {
      const level = hls.levels[hls.loadLevel];
      return level ? asRendition(level) : null;
    },
    throughputKbps: () => Math.round(hls.bandwidthEstimate / 1000) || null,
    audioTracks: () => hls.audioTracks.map((track, index) => asTrack(track, index, hls.audioTrack)),
    chooseAudio(id) {
      hls.audioTrack = id;
    },
    textTracks: () => hls.subtitleTracks.map((track, index) => asTrack(track, index, textId)),
    chooseText(id) {
      textId = id;
      hls.subtitleDisplay = id !== null;
      hls.subtitleTrack = id ?? -1;
    },
  };
}

function configuration(fragments, session, contentId, bufferS) {
  return {
    emeEnabled: true,
    drmSystems: { "org.w3.clearkey": { licenseUrl: session.license_url } },
    maxBufferLength: bufferS,
    maxMaxBufferLength: bufferS,
    backBufferLength: 30,
    fragLoadPolicy: { default: { ...fragments, errorRetry: ERROR_RETRY } },
    cmcd: {
      version: 2,
      sessionId: session.session_id,
      contentId,
      useHeaders: false,
      eventTargets: [
        {
          url: session.cmcd_url,
          events: CMCD_EVENTS,
          interval: CMCD_INTERVAL_S,
          batchSize: CMCD_BATCH,
        },
      ],
    },
  };
}

const asRendition = (level) => ({
  height: level.height,
  bitrateKbps: Math.round(level.bitrate / 1000),
});

const asTrack = (track, index, chosen) => ({
  id: index,
  label: track.name,
  language: track.lang ?? "und",
  isActive: index === chosen,
});

function asPlayerError(data, isFatal) {
  return new PlayerError(`hlsjs ${data.details}`, TYPES[data.type] ?? "Playback failed.", isFatal);
}
