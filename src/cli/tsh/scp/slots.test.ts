import { expect, test } from 'vitest'
import { Slots } from './slots.ts'

test('small ones go side by side, a large one alone, nobody overtakes', async () => {
  const slots = new Slots(3)
  const order: string[] = []
  const enter = async (name: string, weight: number) => {
    const release = await slots.take(weight)
    order.push(name)
    return release
  }
  const first = await enter('a', 1)
  const second = await enter('b', 0)
  const large = enter('large', 100)
  const late = enter('late', 1)
  first()
  await Promise.resolve()
  expect(order).toEqual(['a', 'b'])
  second()
  const releaseLarge = await large
  expect(order).toEqual(['a', 'b', 'large'])
  const idle = slots.idle().then(() => order.push('idle'))
  releaseLarge()
  const releaseLate = await late
  expect(order).toEqual(['a', 'b', 'large', 'late'])
  releaseLate()
  await idle
  expect(order.at(-1)).toBe('idle')
})
