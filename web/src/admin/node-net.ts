/**
 * What the checks of a role's text ask of `node:net`, for browsers, which have none: is it an address, and is a block one. Nobody's
 * connection is judged here, so that blocks can be made and not asked.
 */

const part4 = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const ipv4 = new RegExp(`^${part4}(?:\\.${part4}){3}$`)

export const isIPv4 = (text: string): boolean => ipv4.test(text)

export const isIP = (text: string): 0 | 4 | 6 => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0)

function isIPv6(text: string): boolean {
  // The zone names an interface of one machine.
  const [address = '', zone, ...more] = text.split('%')
  if (more.length > 0 || (zone !== undefined && !/^[0-9a-zA-Z-.:]+$/.test(zone))) return false
  const halves = address.split('::')
  if (halves.length > 2) return false
  const parts = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const last = parts.at(-1) ?? ''
  const hasIPv4 = last.includes('.') && !address.endsWith('::')
  if (hasIPv4 && !isIPv4(last)) return false
  const groups = hasIPv4 ? parts.slice(0, -1) : parts
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  const count = groups.length + (hasIPv4 ? 2 : 0)
  return halves.length === 2 ? count <= 7 : count === 8
}

export class BlockList {
  addSubnet(address: string, prefix: number, family: 'ipv4' | 'ipv6' = 'ipv4'): void {
    const most = family === 'ipv4' ? 32 : 128
    if (isIP(address) === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > most) {
      throw new RangeError(`${prefix} bits are not a block of ${family}`)
    }
  }

  addAddress(address: string, _family: 'ipv4' | 'ipv6' = 'ipv4'): void {
    if (isIP(address) === 0) throw new RangeError('not an address')
  }

  check(_address: string, _family?: 'ipv4' | 'ipv6'): boolean {
    throw new Error('blocks are not asked in a browser')
  }
}
