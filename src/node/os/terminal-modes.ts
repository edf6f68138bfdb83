/** Terminal modes of a pty request (RFC 4254 section 8, RFC 8160) as the `struct termios` of Linux. Pure. */

/** `struct termios` of the TCGETS and TCSETS ioctls on x86-64 and arm64: four flag words, a line discipline, 19 characters. */
export const termiosSize = 36
const input = 0
const output = 4
const control = 8
const local = 12
const characters = 17

/** Opcode → index into c_cc. */
const characterModes: Readonly<Record<number, number>> = {
  1: 0, // VINTR
  2: 1, // VQUIT
  3: 2, // VERASE
  4: 3, // VKILL
  5: 4, // VEOF
  6: 11, // VEOL
  7: 16, // VEOL2
  8: 8, // VSTART
  9: 9, // VSTOP
  10: 10, // VSUSP
  12: 12, // VREPRINT
  13: 14, // VWERASE
  14: 15, // VLNEXT
  16: 7, // VSWTC
  18: 13, // VDISCARD
}

/** Opcode → offset of the flag word, and the bit. */
const flagModes: Readonly<Record<number, readonly [number, number]>> = {
  30: [input, 0o4], // IGNPAR
  31: [input, 0o10], // PARMRK
  32: [input, 0o20], // INPCK
  33: [input, 0o40], // ISTRIP
  34: [input, 0o100], // INLCR
  35: [input, 0o200], // IGNCR
  36: [input, 0o400], // ICRNL
  37: [input, 0o1000], // IUCLC
  38: [input, 0o2000], // IXON
  39: [input, 0o4000], // IXANY
  40: [input, 0o10000], // IXOFF
  41: [input, 0o20000], // IMAXBEL
  42: [input, 0o40000], // IUTF8
  50: [local, 0o1], // ISIG
  51: [local, 0o2], // ICANON
  52: [local, 0o4], // XCASE
  53: [local, 0o10], // ECHO
  54: [local, 0o20], // ECHOE
  55: [local, 0o40], // ECHOK
  56: [local, 0o100], // ECHONL
  57: [local, 0o200], // NOFLSH
  58: [local, 0o400], // TOSTOP
  59: [local, 0o100000], // IEXTEN
  60: [local, 0o1000], // ECHOCTL
  61: [local, 0o4000], // ECHOKE
  62: [local, 0o40000], // PENDIN
  70: [output, 0o1], // OPOST
  71: [output, 0o2], // OLCUC
  72: [output, 0o4], // ONLCR
  73: [output, 0o10], // OCRNL
  74: [output, 0o20], // ONOCR
  75: [output, 0o40], // ONLRET
  92: [control, 0o400], // PARENB
  93: [control, 0o1000], // PARODD
}
const characterSize = 0o60
const cs7 = 0o40
const cs8 = 0o60

/**
 * Applies the client's modes to what the kernel gave the new terminal; opcodes that Linux does not have are ignored, speeds
 * too: a pty has none. The character 255 disables a function, as on the wire.
 */
export function applyModes(current: Buffer, modes: ReadonlyMap<number, number>): Buffer {
  const termios = Buffer.from(current)
  for (const [opcode, value] of modes) {
    const character = characterModes[opcode]
    if (character !== undefined) termios[characters + character] = value === 255 ? 0 : value & 0xff
    const flag = flagModes[opcode]
    if (flag !== undefined) setBits(termios, flag[0], flag[1], value === 0 ? 0 : flag[1])
    if (opcode === 90 && value !== 0) setBits(termios, control, characterSize, cs7)
    if (opcode === 91 && value !== 0) setBits(termios, control, characterSize, cs8)
  }
  return termios
}

function setBits(termios: Buffer, offset: number, mask: number, value: number): void {
  termios.writeUInt32LE(((termios.readUInt32LE(offset) & ~mask) | value) >>> 0, offset)
}
