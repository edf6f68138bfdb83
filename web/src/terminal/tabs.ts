/**
 * The open terminals: tabs, each of one pane or two. They live outside of the pages, so that going to another page does not end
 * them; and what a server keeps after a lost connection is remembered, so that a reload of the page comes back to it.
 */

import { useSyncExternalStore } from 'react'
import { type Joined, readKept } from './kept.ts'

export interface TerminalTarget {
  /** The server's id. */
  readonly node: string
  readonly hostname: string
  readonly login: string
  /** Somebody's session, in which one takes part; otherwise a session of one's own. */
  readonly joined?: Joined
}

export interface Pane extends TerminalTarget {
  readonly id: number
  /** A session to come back to, while the server keeps it. */
  readonly sid?: string | undefined
  /** It was there before a reload of the page. */
  readonly isBack?: boolean
  /** The session that was joined has ended: there is nothing to join again. */
  readonly isOver?: boolean
}

export type Direction = 'row' | 'column'

export interface Tab {
  readonly id: number
  readonly panes: readonly [Pane, ...Pane[]]
  readonly direction: Direction
  /** The pane that was used last. */
  readonly current: number
  /** A bell rang where nobody looked. */
  readonly rang: boolean
}

interface Tabs {
  readonly all: readonly Tab[]
  readonly active: number | undefined
}

export const maxPanes = 2

let tabs: Tabs = { all: [], active: undefined }
let owner: string | undefined
let lastId = 0
const listeners = new Set<() => void>()
const key = 'teleport.terminals'

function set(next: Tabs): void {
  const isNothing = tabs.all.length === 0 && next.all.length === 0
  tabs = isNothing ? tabs : next
  const panes = tabs.all
    .flatMap((tab) => tab.panes)
    .filter(({ sid, joined, isOver }) => (joined === undefined ? sid !== undefined : isOver !== true))
  if (panes.length === 0) sessionStorage.removeItem(key)
  else sessionStorage.setItem(key, JSON.stringify({ owner, panes }))
  // As it was, nothing is drawn anew: each page begins so.
  if (!isNothing) for (const listener of listeners) listener()
}

const change = (id: number, changed: (tab: Tab) => Tab): void =>
  set({ ...tabs, all: tabs.all.map((tab) => (tab.id === id ? changed(tab) : tab)) })

const tabOf = (pane: Pane): Tab => ({ id: ++lastId, panes: [pane], direction: 'row', current: pane.id, rang: false })

/**
 * Whose terminals these are. What another user left in this browser is forgotten; one's own comes back, once. Sessions that were
 * joined are joined again in the same way, if the server still lets one.
 */
export function ownTerminals(user: string): void {
  if (owner === user) return
  owner = user
  const kept = readKept(sessionStorage.getItem(key), user)
  const all = kept.map((pane) => tabOf({ ...pane, isBack: true, id: ++lastId }))
  set({ all, active: all[0]?.id })
}

export function openTerminal(target: TerminalTarget): void {
  const { joined } = target
  const there = tabs.all.find(({ panes: [{ joined: other }] }) => joined !== undefined && isSame(joined, other))
  if (there !== undefined) {
    showTerminal(there.id)
    return
  }
  const tab = tabOf({ ...target, id: ++lastId })
  set({ all: [...tabs.all, tab], active: tab.id })
}

const isSame = (one: Joined, other: Joined | undefined): boolean => one.sid === other?.sid && one.mode === other.mode

export function showTerminal(id: number): void {
  change(id, (tab) => ({ ...tab, rang: false }))
  set({ ...tabs, active: id })
}

export function closeTerminal(id: number): void {
  const at = tabs.all.findIndex((tab) => tab.id === id)
  const all = tabs.all.filter((tab) => tab.id !== id)
  const active = tabs.active === id ? (all[at] ?? all.at(-1))?.id : tabs.active
  set({ all, active })
}

/** Another terminal beside the one in use, on the same server. */
export const split = (id: number, direction: Direction): void =>
  change(id, (tab) => {
    if (tab.panes.length >= maxPanes) return { ...tab, direction }
    const { node, hostname, login } = tab.panes.find((pane) => pane.id === tab.current) ?? tab.panes[0]
    const pane = { node, hostname, login, id: ++lastId }
    return { ...tab, panes: [...tab.panes, pane], direction, current: pane.id }
  })

export function closePane(id: number, paneId: number): void {
  const [first, ...rest] = tabs.all.find((tab) => tab.id === id)?.panes.filter((pane) => pane.id !== paneId) ?? []
  if (first === undefined) closeTerminal(id)
  else change(id, (tab) => ({ ...tab, panes: [first, ...rest], current: first.id }))
}

export const choosePane = (id: number, paneId: number): void => {
  if (tabs.all.find((tab) => tab.id === id)?.current !== paneId) change(id, (tab) => ({ ...tab, current: paneId }))
}

function changePane(id: number, paneId: number, changed: Partial<Pane>): void {
  change(id, (tab) => {
    const [first, ...rest] = tab.panes.map((pane) => (pane.id === paneId ? { ...pane, ...changed } : pane))
    return first === undefined ? tab : { ...tab, panes: [first, ...rest] }
  })
}

export const keepSession = (id: number, paneId: number, sid: string | undefined): void =>
  changePane(id, paneId, { sid })

/** Of a session that was joined. */
export const setOver = (id: number, paneId: number, isOver: boolean): void => changePane(id, paneId, { isOver })

export const ring = (id: number): void => change(id, (tab) => ({ ...tab, rang: true }))

export const closeAll = (): void => set({ all: [], active: undefined })

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useTabs = (): Tabs => useSyncExternalStore(subscribe, () => tabs)
