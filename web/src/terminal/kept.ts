/** What this browser tab remembers of terminals, read with distrust: it may be of another version of the page. */

export interface KeptPane {
  readonly node: string
  readonly hostname: string
  readonly login: string
  readonly sid: string
}

const maxKept = 32

/** Those of that user, in their order. */
export function readKept(text: string | null, user: string): readonly KeptPane[] {
  try {
    const kept: unknown = JSON.parse(text ?? '')
    if (!isRecord(kept) || kept.owner !== user || !Array.isArray(kept.panes)) return []
    return kept.panes
      .flatMap((pane: unknown): KeptPane[] => {
        if (!isRecord(pane)) return []
        const { node, hostname, login, sid } = pane
        const isWhole = [node, hostname, login, sid].every((part) => typeof part === 'string' && part !== '')
        return isWhole ? [{ node, hostname, login, sid } as KeptPane] : []
      })
      .slice(0, maxKept)
  } catch {
    return []
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
