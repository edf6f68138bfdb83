/** The watchers of a local store: one bounded queue each. A slow reader loses its queue and is told so, nobody waits for it. */

import { ResyncNeeded, type WatchEvent, type Watcher } from './contract.ts'
import { encodeKey } from './key.ts'

/** Per watcher. Values are shared with the store, so that the cost is mostly the array. */
const MAX_QUEUED = 10_000

interface Subscription {
  readonly prefix: string
  queue: WatchEvent[]
  failure: Error | undefined
  ended: boolean
  wake: () => void
}

export class Watchers {
  readonly #subscriptions = new Set<Subscription>()
  readonly #maxQueued: number

  constructor(maxQueued = MAX_QUEUED) {
    this.#maxQueued = maxQueued
  }

  subscribe(prefix: string, signal: AbortSignal): Watcher {
    const subscription: Subscription = { prefix, queue: [], failure: undefined, ended: false, wake: () => undefined }
    const end = () => {
      subscription.ended = true
      this.#subscriptions.delete(subscription)
      subscription.wake()
    }
    if (signal.aborted) subscription.ended = true
    else {
      this.#subscriptions.add(subscription)
      signal.addEventListener('abort', end, { once: true })
    }
    return { [Symbol.asyncIterator]: () => this.#iterate(subscription, signal, end) }
  }

  publish(events: readonly WatchEvent[]): void {
    if (this.#subscriptions.size === 0) return
    for (const event of events) {
      const key = encodeKey(event.type === 'put' ? event.item.key : event.key)
      for (const subscription of this.#subscriptions) {
        if (key.startsWith(subscription.prefix)) this.#push(subscription, event)
      }
    }
  }

  /** Ends every watcher with this error, after the events that it has not read yet. */
  endAll(error: Error): void {
    for (const subscription of this.#subscriptions) {
      subscription.failure = error
      subscription.wake()
    }
    this.#subscriptions.clear()
  }

  #push(subscription: Subscription, event: WatchEvent): void {
    if (subscription.queue.length >= this.#maxQueued) {
      // What is left would be a history with a hole: drop it all at once.
      subscription.queue = []
      subscription.failure = new ResyncNeeded('the watcher fell behind and lost events: list again, then watch again')
      this.#subscriptions.delete(subscription)
    } else {
      subscription.queue.push(event)
    }
    subscription.wake()
  }

  async *#iterate(subscription: Subscription, signal: AbortSignal, end: () => void): AsyncGenerator<WatchEvent> {
    try {
      for (;;) {
        if (subscription.ended) return
        const batch = subscription.queue
        subscription.queue = []
        for (const event of batch) {
          if (subscription.ended) return
          yield event
        }
        if (subscription.queue.length > 0 || subscription.ended) continue
        if (subscription.failure !== undefined) throw subscription.failure
        await new Promise<void>((resolve) => {
          subscription.wake = resolve
        })
      }
    } finally {
      signal.removeEventListener('abort', end)
      end()
    }
  }
}
