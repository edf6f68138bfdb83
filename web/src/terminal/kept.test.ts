import { expect, test } from 'vitest'
import { readKept } from './kept.ts'

const pane = { node: 'n', hostname: 'h', login: 'l', sid: 's' }
const joined = { node: 'n', hostname: 'h', login: 'l', joined: { sid: 's', mode: 'observer', user: 'bob' } }
const withJoined = (change: object) => ({ ...joined, joined: { ...joined.joined, ...change } })

test.each([
  {
    name: 'comes back to its user',
    kept: JSON.stringify({ owner: 'alice', panes: [{ ...pane, id: 3 }] }),
    panes: [pane],
  },
  { name: 'is nobody else’s', kept: JSON.stringify({ owner: 'bob', panes: [pane] }), panes: [] },
  {
    name: 'of sessions that were joined comes back with how they were joined',
    kept: JSON.stringify({ owner: 'alice', panes: [{ ...joined, id: 4 }, pane] }),
    panes: [joined, pane],
  },
  {
    name: 'of sessions that were joined is taken only whole',
    kept: JSON.stringify({
      owner: 'alice',
      panes: [withJoined({ mode: 'root' }), withJoined({ sid: '' }), withJoined({ user: 7 }), { ...pane, joined: 's' }],
    }),
    panes: [],
  },
  { name: 'may be missing', kept: null, panes: [] },
  { name: 'may be broken', kept: '{', panes: [] },
  { name: 'may have another shape', kept: '[1]', panes: [] },
  {
    name: 'is taken as far as it is whole',
    kept: JSON.stringify({ owner: 'alice', panes: [{ ...pane, sid: 1 }, null, pane, { ...pane, login: '' }] }),
    panes: [pane],
  },
])('what was remembered $name', ({ kept, panes }) => expect(readKept(kept, 'alice')).toEqual(panes))
