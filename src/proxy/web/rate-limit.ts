/**
 * How often one address may try: a token bucket each. A first barrier that saves the auth service work; the limits that
 * count (per user, across proxies) are kept there.
 */

export interface RateLimitOptions {
  /** Tries at once. */
  readonly burst: number
  /** Tries regained per second. */
  readonly perSecond: number
  /** Addresses remembered; when full, the longest unseen is forgotten. */
  readonly maxKeys: number
}

interface Bucket {
  tokens: number
  at: number
}

export class RateLimit {
  readonly #options: RateLimitOptions
  readonly #monotonicMs: () => number
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: RateLimitOptions, monotonicMs: () => number) {
    this.#options = options
    this.#monotonicMs = monotonicMs
  }

  /** Takes one try. Returns 0 when allowed, else the seconds (rounded up) until the next one is. */
  take(key: string): number {
    const now = this.#monotonicMs()
    const bucket = this.#buckets.get(key) ?? { tokens: this.#options.burst, at: now }
    const regained = ((now - bucket.at) / 1000) * this.#options.perSecond
    bucket.tokens = Math.min(this.#options.burst, bucket.tokens + regained)
    bucket.at = now
    // Insertion order is the order of last use, so the first key is the one to forget.
    this.#buckets.delete(key)
    if (this.#buckets.size >= this.#options.maxKeys) {
      const oldest = this.#buckets.keys().next()
      if (oldest.done !== true) this.#buckets.delete(oldest.value)
    }
    this.#buckets.set(key, bucket)
    if (bucket.tokens < 1) return Math.ceil((1 - bucket.tokens) / this.#options.perSecond)
    bucket.tokens -= 1
    return 0
  }
}

/** The unit that is limited: an IPv4 address, or the /64 of an IPv6 address, of which one host has 2^64. */
export function limitKey(address: string): string {
  if (!address.includes(':')) return address
  const plain = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const [head = '', tail = ''] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const groups = plain.includes('::')
    ? [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right]
    : left
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** The address of a socket's peer as people write it: IPv4 without the `::ffff:` that a dual-stack socket puts before it. */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')
