import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { makeSelfSigned, selfSignedDays } from './self-signed.ts'

const now = new Date('2026-11-20T16:00:00Z')

describe('the self-signed certificate', async () => {
  const made = await makeSelfSigned(['localhost', '127.0.0.1', '::1', 'fd00::1:2', 'proxy.example.com'], now)
  const certificate = new X509Certificate(made.certificate)

  test('fits its key and verifies with it', () => {
    expect(certificate.checkPrivateKey(createPrivateKey(made.key))).toBe(true)
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(certificate.ca).toBe(false)
  })

  test.each(['localhost', 'proxy.example.com'])('names the host %s', (host) => {
    expect(certificate.checkHost(host)).toBe(host)
  })

  test.each(['127.0.0.1', '::1', 'fd00::1:2'])('names the address %s', (address) => {
    expect(certificate.checkIP(address)).toBe(address)
  })

  test('names nothing else', () => {
    expect(certificate.checkHost('example.com')).toBeUndefined()
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined()
  })

  test('is valid already, and for no longer than clients accept', () => {
    expect(certificate.validFromDate.getTime()).toBeLessThan(now.getTime())
    expect(certificate.validToDate.getTime() - now.getTime()).toBe(selfSignedDays * 86_400_000)
  })

  test('is a server certificate', () => {
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  })

  test('dates beyond 2049 are written so that they can be read', async () => {
    const late = new X509Certificate((await makeSelfSigned(['a'], new Date('2060-01-01T00:00:00Z'))).certificate)
    expect(late.validFromDate.toISOString()).toBe('2059-12-31T23:00:00.000Z')
  })

  test('needs a name', async () => {
    await expect(makeSelfSigned([], now)).rejects.toThrow(RangeError)
  })
})
