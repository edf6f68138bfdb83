/** The open terminals. They live outside of the pages, so that going to another page does not end them. */

import { useSyncExternalStore } from 'react'

export interface TerminalTarget {
  /** The server's id. */
  readonly node: string
  readonly hostname: string
  readonly login: string
}

export interface Tab extends TerminalTarget {
  readonly id: number
}

interface Tabs {
  readonly all: readonly Tab[]
  readonly active: number | undefined
}

let tabs: Tabs = { all: [], active: undefined }
let lastId = 0
const listeners = new Set<() => void>()

function set(next: Tabs): void {
  tabs = next
  for (const listener of listeners) listener()
}

export function openTerminal(target: TerminalTarget): void {
  const tab = { ...target, id: ++lastId }
  set({ all: [...tabs.all, tab], active: tab.id })
}

export const showTerminal = (id: number): void => set({ ...tabs, active: id })

export function closeTerminal(id: number): void {
  const at = tabs.all.findIndex((tab) => tab.id === id)
  const all = tabs.all.filter((tab) => tab.id !== id)
  const active = tabs.active === id ? (all[at] ?? all.at(-1))?.id : tabs.active
  set({ all, active })
}

export const closeAll = (): void => set({ all: [], active: undefined })

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useTabs = (): Tabs => useSyncExternalStore(subscribe, () => tabs)
