/** What a program may have left on in the terminal of somebody who goes while it runs: the same for the page and for `tsh`. */

/** The other screen, mouse reports, focus reports, bracketed paste, keys of applications. */
const leftOn = ['1049', '1000', '1002', '1003', '1006', '1004', '2004', '1']

/** The cursor is saved first, because leaving the other screen brings back a saved one even when that screen is not shown. */
export const modesOff = `\x1b7${leftOn.map((mode) => `\x1b[?${mode}l`).join('')}`
