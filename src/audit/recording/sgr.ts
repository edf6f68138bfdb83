/** The style of a cell as a terminal is told of it: for the text of a screen's state, and for players. */

import type { Style } from './emulator.ts'

/** Parameters of the SGR sequence (ECMA-48 8.3.117) that gives exactly this style, whatever was before. */
export function sgrParameters(style: Style): string {
  let codes = '0'
  if (style.isBold()) codes += ';1'
  if (style.isDim()) codes += ';2'
  if (style.isItalic()) codes += ';3'
  if (style.isUnderline()) codes += ';4'
  if (style.isBlink()) codes += ';5'
  if (style.isInverse()) codes += ';7'
  if (style.isInvisible()) codes += ';8'
  if (style.isStrikethrough()) codes += ';9'
  if (style.isOverline()) codes += ';53'
  codes += colourCodes(30, style.isFgRGB(), style.isFgPalette(), style.getFgColor())
  codes += colourCodes(40, style.isBgRGB(), style.isBgPalette(), style.getBgColor())
  return codes
}

function colourCodes(base: 30 | 40, rgb: boolean | number, palette: boolean | number, colour: number): string {
  if (rgb) return `;${base + 8};2;${(colour >>> 16) & 255};${(colour >>> 8) & 255};${colour & 255}`
  if (!palette) return ''
  if (colour < 8) return `;${base + colour}`
  return colour < 16 ? `;${base + 60 + colour - 8}` : `;${base + 8};5;${colour}`
}
