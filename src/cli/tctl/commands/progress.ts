/** A line that counts, for people who wait at a terminal; nothing for everybody else. */

export interface Counter {
  show(count: number, total: number | undefined): void
  end(): void
}

/** `what`: such as "events exported". */
export function counter(what: string): Counter {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => undefined, end: () => undefined }
  let shown = 0
  return {
    show(count, total) {
      const now = performance.now()
      if (now - shown < 100) return
      shown = now
      const share = total === undefined || total === 0 ? '' : ` (${Math.min(100, Math.floor((count / total) * 100))} %)`
      stderr.write(`\r\x1b[K${count} ${what}${share}`)
    },
    end: () => void stderr.write('\r\x1b[K'),
  }
}
