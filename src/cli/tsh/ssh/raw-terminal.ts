/**
 * The local terminal while a remote one is shown in it. Node's own raw mode leaves the translation of line feeds on (libuv sets
 * ONLCR), which garbles full-screen programs, so the mode is set by stty, as a shell script would.
 */

export interface RawTerminal {
  /** Modes for the remote terminal (RFC 4254 section 8), so that its erase character and the like are the local ones. */
  readonly modes: ReadonlyMap<number, number>
  enter(): void
  leave(): void
}

/** c_cc index on Linux → opcode: INTR, QUIT, ERASE, KILL, EOF, EOL, EOL2, START, STOP, SUSP, REPRINT, WERASE, LNEXT, DISCARD. */
const characters: readonly (readonly [number, number])[] = [
  [0, 1],
  [1, 2],
  [2, 3],
  [3, 4],
  [4, 5],
  [11, 6],
  [16, 7],
  [8, 8],
  [9, 9],
  [10, 10],
  [12, 12],
  [14, 13],
  [15, 14],
  [13, 18],
]
/** Bit of c_iflag → opcode: IGNPAR, PARMRK, INPCK, ISTRIP, INLCR, IGNCR, ICRNL, IXON, IXANY, IXOFF, IMAXBEL, IUTF8. */
const inputFlags: readonly (readonly [number, number])[] = [
  [0x0004, 30],
  [0x0008, 31],
  [0x0010, 32],
  [0x0020, 33],
  [0x0040, 34],
  [0x0080, 35],
  [0x0100, 36],
  [0x0400, 38],
  [0x0800, 39],
  [0x1000, 40],
  [0x2000, 41],
  [0x4000, 42],
]
/** Bit of c_lflag → opcode: ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, TOSTOP, IEXTEN, ECHOCTL, ECHOKE. */
const localFlags: readonly (readonly [number, number])[] = [
  [0x0001, 50],
  [0x0002, 51],
  [0x0008, 53],
  [0x0010, 54],
  [0x0020, 55],
  [0x0040, 56],
  [0x0080, 57],
  [0x0100, 58],
  [0x8000, 59],
  [0x0200, 60],
  [0x0800, 61],
]
/** Bit of c_oflag → opcode: OPOST, ONLCR. */
const outputFlags: readonly (readonly [number, number])[] = [
  [0x0001, 70],
  [0x0004, 72],
]

/** For terminals whose modes cannot be read: DEL erases, and the text is UTF-8. */
const usualModes: ReadonlyMap<number, number> = new Map([
  [3, 127],
  [42, 1],
  [128, 38_400],
  [129, 38_400],
])

/** From what `stty -g` prints: four flag words and the control characters, in hexadecimal. */
export function modesOf(saved: string): ReadonlyMap<number, number> {
  const words = saved.trim().split(':')
  if (words.length < 20 || !words.every((word) => /^[0-9a-f]+$/.test(word))) return usualModes
  const [input = 0, output = 0, , local = 0, ...control] = words.map((word) => Number.parseInt(word, 16))
  const modes = new Map<number, number>([
    [128, 38_400],
    [129, 38_400],
  ])
  for (const [index, opcode] of characters) {
    const value = control[index] ?? 0
    // 0 means that the character is switched off, which SSH spells 255.
    modes.set(opcode, value === 0 ? 255 : value)
  }
  for (const [flags, word] of [
    [inputFlags, input],
    [localFlags, local],
    [outputFlags, output],
  ] as const) {
    for (const [bit, opcode] of flags) modes.set(opcode, (word & bit) === 0 ? 0 : 1)
  }
  return modes
}

function stty(...args: readonly string[]): string | undefined {
  // Not imported: most sessions have no terminal, and loading the module costs them a millisecond.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { status, stdout } = spawnSync('stty', args, { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' })
  return status === 0 ? stdout : undefined
}

/** The terminal on standard input, which must be one. */
export function rawTerminal(): RawTerminal {
  const saved = stty('-g')?.trim()
  let raw = false
  const leave = () => {
    if (!raw) return
    raw = false
    if (saved === undefined) process.stdin.setRawMode(false)
    else stty(saved)
  }
  // Whatever ends the process, the shell gets its terminal back.
  process.on('exit', leave)
  return {
    modes: saved === undefined ? usualModes : modesOf(saved),
    enter() {
      raw = true
      if (saved === undefined || stty('raw', '-echo') === undefined) process.stdin.setRawMode(true)
    },
    leave,
  }
}
