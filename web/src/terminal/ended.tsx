/** What lies over a screen that is over: why, and a way to begin again. */

import { Button, Text } from '@mantine/core'

export const Ended = ({ why, again, onAgain }: { why: string; again: string; onAgain(): void }) => (
  <div className="ended" role="status">
    <Text size="sm">{why}</Text>
    <Button size="xs" onClick={onAgain}>
      {again}
    </Button>
  </div>
)
