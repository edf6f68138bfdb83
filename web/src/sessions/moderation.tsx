/** What a moderator can do to a session. The end of it is asked for twice. */

import { Button, Modal, Text } from '@mantine/core'
import { useState } from 'react'
import { sessionsText as words } from '../text/sessions.ts'

export type Moderate = (action: 'pause' | 'resume' | 'end') => void

export function Moderation(props: { user: string; isPaused: boolean; moderate: Moderate }) {
  const { user, isPaused, moderate } = props
  const [isEnding, setEnding] = useState(false)
  return (
    <>
      <Button size="xs" variant="default" onClick={() => moderate(isPaused ? 'resume' : 'pause')}>
        {isPaused ? words.resume : words.pause}
      </Button>
      <Button size="xs" color="red.9" onClick={() => setEnding(true)}>
        {words.end}
      </Button>
      <Modal opened={isEnding} onClose={() => setEnding(false)} title={words.endTitle} centered>
        <Text size="sm" mb="md">
          {words.endHint(user)}
        </Text>
        <div className="session-actions">
          <Button variant="default" onClick={() => setEnding(false)}>
            {words.keep}
          </Button>
          <Button
            color="red.9"
            onClick={() => {
              setEnding(false)
              moderate('end')
            }}
          >
            {words.end}
          </Button>
        </div>
      </Modal>
    </>
  )
}
