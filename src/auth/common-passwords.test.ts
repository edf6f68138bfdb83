import { describe, expect, test } from 'vitest'
import { guessable } from './common-passwords.ts'

describe('refused', () => {
  test.each([
    ['password1234', 'alice', /commonest/],
    ['P4ssw0rd2026!', 'alice', /commonest/],
    ['passwordpassword', 'alice', /commonest/],
    ['Welcome2026!!', 'alice', /commonest/],
    ['LetMeIn-letmein-LETMEIN', 'alice', /commonest/],
    ['alice', 'alice', /name of the user/],
    ['Alice2026!2026', 'alice', /name of the user/],
    ['alicealicealice', 'alice', /name of the user/],
    ['bob.smith.1234', 'bob.smith', /name of the user/],
    ['aaaaaaaaaaaa', 'x', /repeats/],
    ['abababababab', 'x', /repeats/],
    ['123456789012', 'x', /row of keys/],
    ['qwertyuiopas', 'x', /row of keys/],
    ['abcdefghijklm', 'x', /row of keys/],
    ['1q2w3e4r5t6y', 'x', /row of keys/],
  ])('%s of %s', (password, user, why) => expect(guessable(password, user)).toMatch(why))
})

test.each([
  'vg7#kq2!Zp0w',
  'korrektes pferd klammert batterie',
  'wrong donkey battery stable',
  'a passphrase of five words',
  'alice in the server room 9',
  'парольдлятестов',
])('%s is not', (password) => expect(guessable(password, 'alice')).toBeUndefined())
