/**
 * What a recording is, for nodes that make it, for the store that keeps it and for players.
 *
 * A recording is asciicast v2 text, cut into chunks. Each chunk is one zstd frame of whole lines, so the chunks one after the other
 * are again a zstd file: `zstdcat SID.cast.zst | asciinema play -` works without us. The first line of the first chunk is the
 * header. Lines have the codes `o` (output), `r` (resize, `COLSxROWS`), `m` (a mark: who came, who left, what was lost) and `k` (a
 * keyframe: text that puts an empty terminal into the state of that moment, so that a player can begin there). Keystrokes are never
 * recorded. Players are told to ignore codes that they do not know.
 *
 * Each chunk is tied to the one before it by a hash, and a last link ties in header and end; that one goes into the audit log when the
 * recording is complete.
 */

/** What is known when a recording begins. */
export interface RecordingHeader {
  readonly sid: string
  readonly user: string
  /** OS account. */
  readonly login: string
  readonly serverId: string
  readonly serverHostname: string
  /** RFC 3339. */
  readonly started: string
  /** False for a command without a terminal. */
  readonly interactive: boolean
  readonly columns: number
  readonly rows: number
  /** Absent for a login shell. */
  readonly command?: string
  readonly term?: string
}

export interface ChunkInfo {
  /** From 0, without gaps. */
  readonly index: number
  /** Milliseconds since `started`: of the first and the last line in it. */
  readonly fromMs: number
  readonly toMs: number
  /** Bytes of text before compression. */
  readonly textBytes: number
  /** Begins with a keyframe (the first chunk always does: an empty screen needs none). */
  readonly keyframe: boolean
  /** Hex, of the compressed bytes. */
  readonly sha256: string
}

export interface Chunk extends ChunkInfo {
  /** One zstd frame. At most `MAX_CHUNK_BYTES`. */
  readonly data: Buffer
}

/** A chunk as a store keeps it: `chain` is its link, see `chain.ts`. */
export interface StoredChunkInfo extends ChunkInfo {
  readonly chain: string
  /** Compressed bytes, and where they begin in the file. */
  readonly bytes: number
  readonly offset: number
}

export interface RecordingEnd {
  /** RFC 3339. */
  readonly ended: string
  readonly chunks: number
  /** The link of the last chunk. */
  readonly chain: string
  readonly participants: readonly string[]
  /** The node ended before the session did; what was on its disk was completed later. */
  readonly interrupted: boolean
  /** Something is missing, and why. */
  readonly failure?: string
}

export interface RecordingSummary extends RecordingHeader {
  readonly state: 'running' | 'complete' | 'interrupted'
  readonly ended?: string
  readonly durationMs: number
  readonly chunks: number
  /** Compressed. */
  readonly bytes: number
  /** Of the last chunk; when it is no longer running, `lastLink`, which ties these fields to the content. */
  readonly chain: string
  readonly participants: readonly string[]
  readonly failure?: string
}
