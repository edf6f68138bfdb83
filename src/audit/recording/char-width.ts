/**
 * How many columns a character takes in a terminal. Programs count with the tables of their C library, so ours are of the same
 * age (Unicode 15); the tables that the terminal emulator brings are of 2010 and have every emoji one column too narrow.
 */

/** East Asian wide and fullwidth characters and emoji with colours, as ranges in hexadecimal (UAX 11, Unicode 15). */
const wideRanges = `
1100-115f 231a-231b 2329-232a 23e9-23ec 23f0 23f3 25fd-25fe 2614-2615 2648-2653 267f 2693 26a1 26aa-26ab
26bd-26be 26c4-26c5 26ce 26d4 26ea 26f2-26f3 26f5 26fa 26fd 2705 270a-270b 2728 274c 274e 2753-2755 2757
2795-2797 27b0 27bf 2b1b-2b1c 2b50 2b55 2e80-303e 3041-4dbf 4e00-a4c6 a960-a97c ac00-d7a3 f900-faff fe10-fe19
fe30-fe6b ff01-ff60 ffe0-ffe6 16fe0-1b2fb 1f004 1f0cf 1f18e 1f191-1f19a 1f200-1f320 1f32d-1f335 1f337-1f37c
1f37e-1f393 1f3a0-1f3ca 1f3cf-1f3d3 1f3e0-1f3f0 1f3f4 1f3f8-1f43e 1f440 1f442-1f4fc 1f4ff-1f53d 1f54b-1f54e
1f550-1f567 1f57a 1f595-1f596 1f5a4 1f5fb-1f64f 1f680-1f6c5 1f6cc 1f6d0-1f6d2 1f6d5-1f6df 1f6eb-1f6ec
1f6f4-1f6fc 1f7e0-1f7f0 1f90c-1f93a 1f93c-1f945 1f947-1f9ff 1fa70-1faff 20000-3fffd
`

const wide: readonly (readonly [number, number])[] = wideRanges
  .trim()
  .split(/\s+/)
  .map((range) => {
    const [from = '', to = from] = range.split('-')
    return [Number.parseInt(from, 16), Number.parseInt(to, 16)]
  })

const unknown = 3
/** Filled as characters are met. */
const known = new Uint8Array(0x110000).fill(unknown)

/** 0 for controls, combining marks and format characters, 2 for wide ones, else 1. */
export function charWidth(codepoint: number): 0 | 1 | 2 {
  if (codepoint >= 0x20 && codepoint < 0x7f) return 1
  const found = known[codepoint]
  if (found === 0 || found === 1 || found === 2) return found
  const width = look(codepoint)
  known[codepoint] = width
  return width
}

function look(codepoint: number): 0 | 1 | 2 {
  if (codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0) || codepoint > 0x10ffff) return 0
  if (codepoint === 0xad) return 1
  // Vowels and finals of Hangul join the syllable before them.
  if (codepoint >= 0x1160 && codepoint <= 0x11ff) return 0
  if (/^[\p{Mn}\p{Me}\p{Cf}]$/u.test(String.fromCodePoint(codepoint))) return 0
  let [low, high] = [0, wide.length - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    const [from, to] = wide[middle] ?? [0, 0]
    if (codepoint < from) high = middle - 1
    else if (codepoint > to) low = middle + 1
    else return 2
  }
  return 1
}

/** What the terminal emulator asks for each character. */
export const unicodeProvider = {
  version: '15',
  wcwidth: charWidth,
  /** Layout of the result: bit 0 joins the character before, bits 1 and 2 are the width. */
  charProperties(codepoint: number, preceding: number): number {
    const width = charWidth(codepoint)
    const before = (preceding >> 1) & 3
    return width === 0 && before > 0 ? (before << 1) | 1 : width << 1
  },
}
