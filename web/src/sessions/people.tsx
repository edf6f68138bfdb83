/** Who is in an open session. */

import { Text } from '@mantine/core'
import { sessionsText as words } from '../text/sessions.ts'
import type { OpenSession } from './calls.ts'
import { PeopleIcon } from './icons.tsx'

export function People({ session: { parties } }: { session: Pick<OpenSession, 'parties'> }) {
  return (
    <Text size="sm" className="people">
      <PeopleIcon />
      <span className="visually-hidden">{words.people}: </span>
      {parties.length === 0 ? words.nobody : parties.map(({ user, mode }) => words.person(user, mode)).join(', ')}
    </Text>
  )
}
