/** dash.js plays DASH: ClearKey by the manifest's Laurl, ceilings by CMSD `mb` where it is told to. */

import { BUFFER_S, CMCD_BATCH, CMCD_EVENTS, CMCD_INTERVAL_S, PlayerError, byHeight } from "./playback.js";

/** Without a list dash.js sends reports with no session id. */
const CMCD_KEYS = [
  ..."ab bl br bs bsa bsd bsda cid cs d dl e ec lab lb ltc msd mtp nor nr ot pb pr pt rc rtp".split(" "),
  ..."sf sid sn st sta su tab tb tbl tpb ts ttfb ttlb url v".split(" "),
];

export function createDashjs(dashjs, { video, session, contentId, bufferS = BUFFER_S, onError, onTracks }) {
  const player = dashjs.MediaPlayer().create();
  const events = dashjs.MediaPlayer.events;
  player.initialize();
  player.updateSettings(settings(session, contentId, bufferS));
  player.on(events.ERROR, ({ error }) => onError(asPlayerError(error)));
  for (const name of ["STREAM_INITIALIZED", "TRACK_CHANGE_RENDERED", "QUALITY_CHANGE_RENDERED"]) {
    player.on(events[name], () => onTracks());
  }
  let textId = null;
  const audioKbps = () => Math.round((player.getCurrentRepresentationForType("audio")?.bandwidth ?? 0) / 1000);
  const asRendition = (representation) => ({
    height: representation.height,
    bitrateKbps: Math.round(representation.bandwidth / 1000) + audioKbps(),
  });

  return {
    load(startS) {
      return new Promise((resolve, reject) => {
        const failed = ({ error }) => reject(asPlayerError(error));
        player.on(events.ERROR, failed);
        player.on(events.STREAM_INITIALIZED, () => {
          player.off(events.ERROR, failed);
          resolve();
        });
        player.attachView(video);
        player.attachSource(session.dash_url, startS || undefined);
      });
    },
    async destroy() {
      player.destroy();
    },
    ladder: () => byHeight(player.getRepresentationsByType("video").map(asRendition)),
    chosen() {
      const current = player.getCurrentRepresentationForType("video");
      return current ? asRendition(current) : null;
    },
    throughputKbps: () => Math.round(player.getAverageThroughput("video")) || null,
    audioTracks: () => tracks(player, "audio"),
    chooseAudio(id) {
      player.setCurrentTrack(player.getTracksFor("audio")[id]);
    },
    textTracks: () => tracks(player, "text").map((track) => ({ ...track, isActive: track.id === textId })),
    chooseText(id) {
      textId = id;
      player.enableText(id !== null);
      if (id !== null) player.setTextTrack(id);
    },
  };
}

function tracks(player, type) {
  const current = player.getCurrentTrackFor(type);
  return player.getTracksFor(type).map((track, index) => ({
    id: index,
    label: track.labels?.[0]?.text ?? "",
    language: track.lang ?? "und",
    isActive: track === current,
  }));
}

function settings(session, contentId, bufferS) {
  return {
    debug: { logLevel: 1 },
    streaming: {
      buffer: {
        bufferTimeDefault: bufferS,
        bufferTimeAtTopQuality: bufferS,
        bufferTimeAtTopQualityLongForm: bufferS,
      },
      text: { defaultEnabled: false },
      cmsd: { enabled: true, abr: { applyMb: true } },
      cmcd: {
        enabled: true,
        version: 2,
        sid: session.session_id,
        cid: contentId,
        mode: "query",
        includeInRequests: ["segment", "mpd", "steering"],
        enabledKeys: CMCD_KEYS,
        eventTargets: [
          {
            enabled: true,
            url: session.cmcd_url,
            events: CMCD_EVENTS,
            interval: CMCD_INTERVAL_S,
            batchSize: CMCD_BATCH,
            enabledKeys: CMCD_KEYS,
          },
        ],
      },
    },
  };
}

/** It goes on after most of what it calls an error; what stops it is a license or a manifest. */
function asPlayerError(error) {
  const code = Number(error?.code ?? 0);
  const isLicense = code >= 100 && code < 120;
  const isManifest = code === 10 || code === 25 || code === 31;
  const told = isLicense
    ? "The license was refused."
    : isManifest
      ? "The manifest could not be read."
      : "The network does not deliver the video.";
  return new PlayerError(`dashjs ${code}`, told, isLicense || isManifest);
}
