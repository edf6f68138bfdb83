/** How much a chunk of a recording may be, for who writes and for who reads it. */

/** Of compressed bytes. */
export const MAX_CHUNK_BYTES = 1024 * 1024
/** Of text; a frame that would expand beyond is refused before it is expanded. */
export const MAX_CHUNK_TEXT = 4 * 1024 * 1024
/** What a frame may ask its reader to keep; zstd up to level 19 stays within. */
export const MAX_CHUNK_WINDOW = 8 * 1024 * 1024
