/** Search in what a terminal shows and has shown. */

import { ActionIcon, TextInput } from '@mantine/core'
import type { SearchAddon } from '@xterm/addon-search'
import { useState } from 'react'
import { ChevronIcon, CloseIcon } from '../icons.tsx'
import { words } from '../text/terminal.ts'

export function SearchBar({ search, onClose }: { search: SearchAddon | undefined; onClose(): void }) {
  const [wanted, setWanted] = useState('')
  const next = () => void search?.findNext(wanted)
  const previous = () => void search?.findPrevious(wanted)
  return (
    <search className="terminal-search">
      <TextInput
        size="xs"
        aria-label={words.search}
        placeholder={words.search}
        value={wanted}
        ref={(element) => element?.focus()}
        onChange={(event) => {
          setWanted(event.currentTarget.value)
          search?.findNext(event.currentTarget.value, { incremental: true })
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose()
          if (event.key === 'Enter') (event.shiftKey ? previous : next)()
        }}
      />
      <ActionIcon variant="default" aria-label={words.previous} onClick={previous} className="up">
        <ChevronIcon />
      </ActionIcon>
      <ActionIcon variant="default" aria-label={words.next} onClick={next}>
        <ChevronIcon />
      </ActionIcon>
      <ActionIcon variant="default" aria-label={words.closeSearch} onClick={onClose}>
        <CloseIcon />
      </ActionIcon>
    </search>
  )
}
