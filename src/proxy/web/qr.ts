/** A QR code as an SVG path, which a page can draw without an image of any origin. */

import { create } from 'qrcode'

/** Modules on a side, and one unit square for each run of dark modules. */
export function qrOf(text: string): { readonly size: number; readonly path: string } {
  const { size, data } = create(text, { errorCorrectionLevel: 'L' }).modules
  let path = ''
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let end = x
      while (end < size && data[y * size + end] === 1) end++
      if (end > x) path += `M${x} ${y}h${end - x}v1h-${end - x}z`
      x = end
    }
  }
  return { size, path }
}
