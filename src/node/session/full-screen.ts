/**
 * Whether a program has the terminal for itself: xterm's alternate screen (DECSET 1049, 1047, 47), to which vim, less and tmux switch. A
 * line of the node's own must not scroll what such a program has drawn.
 */

const introducer = '\x1b[?'
const longest = `${introducer}1049h`.length
const nothing = Buffer.alloc(0)

export class FullScreen {
  #isOn = false
  /** The beginning of a sequence whose end has not come. */
  #rest = nothing

  get isOn(): boolean {
    return this.#isOn
  }

  /** Output, in pieces that end anywhere. */
  read(data: Buffer): void {
    const text = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    // The last one counts, and most output has none.
    for (let at = text.lastIndexOf(introducer); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(introducer, at - 1)) {
      const found = /^(?:1049|1047|47)([hl])/.exec(text.toString('latin1', at + introducer.length, at + longest))
      if (found === null) continue
      this.#isOn = found[1] === 'h'
      break
    }
    const end = text.subarray(1 - longest)
    const begin = end.lastIndexOf(0x1b)
    // Copied: a small piece must not keep a large one.
    this.#rest = begin < 0 ? nothing : Buffer.from(end.subarray(begin))
  }
}

/** A line in the first row, over what is there until the program draws it again; the cursor stays. `columns`: of the terminal. */
export const overlay = (message: string, columns: number): string =>
  `\x1b7\x1b[H\x1b[0;7m ${message.slice(0, Math.max(0, columns - 2))} \x1b[0m\x1b8`
