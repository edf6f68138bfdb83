/**
 * Who waits for a login. Places are few, so that strangers cannot use up memory; but a limit alone would let one address with a
 * hundred silent sockets lock everybody out. So it is not simply the last one to come who goes: first whoever does nothing,
 * among those of the address that holds the most places.
 */

import type { Env } from '../common/env.ts'
import { sourceOf } from '../common/source.ts'

export interface Guest {
  /** Client address. */
  readonly address: string
  /** Its key exchange is done: it means it. */
  isTalking(): boolean
  drop(): void
}

/** Milliseconds in which an honest client has exchanged keys, however bad its line. Only then may it be sent away for silence. */
const patience = 2_000

interface Place {
  readonly guest: Guest
  readonly since: number
}

export class WaitingRoom {
  readonly #limit: number
  readonly #env: Env
  /** Places by source, each in order of arrival. */
  readonly #sources = new Map<string, Set<Place>>()
  #size = 0

  /** `limit`: places in all. */
  constructor(limit: number, env: Env) {
    this.#limit = limit
    this.#env = env
  }

  /** Takes a place, if necessary that of somebody else, who is dropped. Undefined when there is none; else gives it back (once). */
  enter(guest: Guest): (() => void) | undefined {
    const source = sourceOf(guest.address)
    if (this.#isCrowded()) {
      const victim = this.#victim(source)
      if (victim === undefined) return undefined
      this.#leave(victim)
      victim.guest.drop()
    }
    const place: Place = { guest, since: this.#env.monotonicMs() }
    const places = this.#sources.get(source) ?? new Set()
    this.#sources.set(source, places.add(place))
    this.#size++
    return () => this.#leave(place)
  }

  #leave(place: Place): void {
    const source = sourceOf(place.guest.address)
    const places = this.#sources.get(source)
    if (places?.delete(place) !== true) return
    this.#size--
    if (places.size === 0) this.#sources.delete(source)
  }

  /** As OpenSSH's MaxStartups: from a third of the limit on with growing probability, at the limit always. */
  #isCrowded(): boolean {
    const begin = Math.floor(this.#limit / 3)
    if (this.#size >= this.#limit) return true
    if (this.#size < begin) return false
    return this.#env.randomBytes(4).readUInt32BE() / 2 ** 32 < (this.#size - begin) / (this.#limit - begin)
  }

  /** Undefined: the newcomer itself. */
  #victim(newcomer: string): Place | undefined {
    let [source, places]: [string, ReadonlySet<Place>] = [newcomer, this.#sources.get(newcomer) ?? new Set()]
    for (const [other, theirs] of this.#sources) {
      if (theirs.size > places.size) [source, places] = [other, theirs]
    }
    const ordered = [...places]
    const now = this.#env.monotonicMs()
    const silent = ordered.find(({ guest, since }) => now - since >= patience && !guest.isTalking())
    return silent ?? (source === newcomer ? undefined : ordered[0])
  }
}
