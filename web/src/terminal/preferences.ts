/** How terminals look, remembered by this browser. */

import { useSyncExternalStore } from 'react'
import { themes } from './themes.ts'

export interface Preferences {
  readonly fontSize: number
  readonly theme: string
}

const key = 'teleport.terminal'
const standard: Preferences = { fontSize: 14, theme: 'Night' }

function read(): Preferences {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Record<keyof Preferences, unknown>>
    return {
      fontSize: typeof kept.fontSize === 'number' ? clamp(kept.fontSize) : standard.fontSize,
      theme: typeof kept.theme === 'string' && Object.hasOwn(themes, kept.theme) ? kept.theme : standard.theme,
    }
  } catch {
    return standard
  }
}

const clamp = (size: number): number => Math.min(28, Math.max(9, Math.round(size)))

let preferences = read()
const listeners = new Set<() => void>()

export function setPreferences(change: Partial<Preferences>): void {
  preferences = { ...preferences, ...change }
  preferences = { ...preferences, fontSize: clamp(preferences.fontSize) }
  localStorage.setItem(key, JSON.stringify(preferences))
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const usePreferences = (): Preferences => useSyncExternalStore(subscribe, () => preferences)
