/** Text for terminals and log lines. What came from outside must not move the cursor, hide a line or start a new one. */

// C0, DEL, C1, line separators, bidirectional overrides and isolates, zero-width characters, byte order mark.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/g

/** Most of what is printed, in listings of thousands of rows. */
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/

/** Removes what a terminal would act on. Half surrogate pairs become U+FFFD. */
export function stripControl(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text
  return text.toWellFormed().replace(UNSAFE, '')
}

/** For messages: in quotes, control characters visible as escapes, cut at 100 characters. */
export function quote(text: string): string {
  const short = text.length > 100 ? `${text.slice(0, 97)}...` : text
  const visible = short
    .toWellFormed()
    .replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `"${visible}"`
}

/** Cuts to at most `max` characters with "..." at the end, never inside a surrogate pair. */
export function truncate(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, Math.max(0, max - 3)).toWellFormed()}...`
}

/** Columns that a character takes: 2 for East Asian wide ones and emoji, 0 for combining marks. */
export function displayWidth(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length
  let width = 0
  for (const char of text) {
    if (/\p{Mark}/u.test(char)) continue
    width +=
      /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
        char,
      )
        ? 2
        : 1
  }
  return width
}

/**
 * Columns two spaces apart, a rule of dashes under each heading, no spaces at the end of a line; ends with a line feed.
 * Cells are stripped of control characters. Layout of the original's `asciitable`.
 */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map(displayWidth)
  const body = rows.map((row) =>
    headings.map((_, column) => {
      const cell = measured(stripControl(row[column] ?? ''))
      widths[column] = Math.max(widths[column] ?? 0, cell.width)
      return cell
    }),
  )
  const rule = widths.map((width) => measured('-'.repeat(width)))
  return [headings.map(measured), rule, ...body].map((row) => alignRow(row, widths)).join('')
}

/** Like `formatTable` without headings: for "name value" lists such as a status. */
export function formatPairs(rows: readonly (readonly [string, string])[]): string {
  const body = rows.map((row) => row.map((cell) => measured(stripControl(cell))))
  const width = body.reduce((widest, [name]) => Math.max(widest, name?.width ?? 0), 0)
  return body.map((row) => alignRow(row, [width, 0])).join('')
}

interface Cell {
  readonly text: string
  readonly width: number
}

/** Once for each cell: it is asked for the width of its column and again for its own padding. */
const measured = (text: string): Cell => ({ text, width: displayWidth(text) })

function alignRow(row: readonly Cell[], widths: readonly number[]): string {
  const cells = row.map(({ text, width }, column) => text + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width)))
  return `${cells.join('  ').trimEnd()}\n`
}

/** The candidate that was probably meant, or undefined when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3))
  let best: string | undefined
  let bestDistance = limit + 1
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), limit)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours; `limit + 1` when it is more than `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit || a.length > 100) return limit + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return Math.min(last[b.length] ?? 0, limit + 1)
}

/** `1 session`, `2 sessions`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
