/** A plain editor of text with numbered lines: everything that a browser can do with a text works in it, screen readers included. */

import { useRef } from 'react'

export function TextEditor(props: {
  readonly label: string
  readonly value: string
  /** Lines with problems. */
  readonly bad: ReadonlySet<number>
  readonly describedBy: string
  readonly readOnly?: boolean
  onChange(value: string): void
}) {
  const { label, value, bad, onChange } = props
  const numbers = useRef<HTMLDivElement>(null)
  const lines = value.split('\n')
  return (
    <div className="editor">
      <div className="line-numbers" aria-hidden="true" ref={numbers}>
        {lines.map((_, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
          <div key={index} className={bad.has(index + 1) ? 'bad' : undefined}>
            {index + 1}
          </div>
        ))}
      </div>
      <textarea
        aria-label={label}
        aria-describedby={props.describedBy}
        aria-invalid={bad.size > 0}
        value={value}
        readOnly={props.readOnly}
        onChange={(event) => onChange(event.currentTarget.value)}
        onScroll={(event) => {
          if (numbers.current !== null) numbers.current.scrollTop = event.currentTarget.scrollTop
        }}
        onKeyDown={(event) => {
          // The next line begins where this one does; Tab stays what leaves the field.
          if (event.key !== 'Enter' || event.nativeEvent.isComposing) return
          const { selectionStart, selectionEnd } = event.currentTarget
          const before = value.slice(0, selectionStart)
          const line = before.slice(before.lastIndexOf('\n') + 1)
          const indent = /^ */.exec(line)?.[0] ?? ''
          const deeper = /:\s*$/.test(line) ? '  ' : ''
          event.preventDefault()
          const added = `\n${indent}${deeper}`
          const target = event.currentTarget
          onChange(before + added + value.slice(selectionEnd))
          const at = selectionStart + added.length
          requestAnimationFrame(() => target.setSelectionRange(at, at))
        }}
        rows={Math.min(30, Math.max(12, lines.length + 1))}
        wrap="off"
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
      />
    </div>
  )
}
