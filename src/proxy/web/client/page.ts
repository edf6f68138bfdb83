/**
 * What the plain pages of the proxy do in a browser: sign-up with an invite or reset link, and the tap on a security key that `tsh`
 * waits for. One file without imports, served as it is; everything from a server is put in as text.
 */

interface Invite {
  readonly user: string
  readonly kind: 'invite' | 'reset'
  readonly secondFactor: string
  readonly minPasswordLength: number
  readonly otp?: { readonly secret: string; readonly uri: string }
  readonly qr?: { readonly size: number; readonly path: string }
  readonly webauthn: boolean
}

interface Ceremony {
  readonly user: string
  readonly clusterName: string
  readonly address: string
  readonly phrase: string
  readonly title: string
  readonly details: readonly (readonly [string, string])[]
  readonly get?: Readonly<Record<string, unknown>>
  readonly create?: Readonly<Record<string, unknown>>
}

interface Described {
  readonly id: string
  readonly transports?: readonly AuthenticatorTransport[]
}

const element = <T extends HTMLElement>(id: string): T => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no ${id}`)
  return found as T
}

const input = (id: string): HTMLInputElement => element<HTMLInputElement>(id)

function say(text: string, isError = false): void {
  const status = element('status')
  status.textContent = text
  status.className = isError ? 'error' : ''
}

/** Throws an Error with the server's words. */
async function call<T>(path: string, body: unknown): Promise<T> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    credentials: 'omit',
  })
  const answer: unknown = await response.json().catch(() => undefined)
  if (response.ok) return answer as T
  const { error } = (answer ?? {}) as { error?: { message?: string } }
  throw new Error(error?.message ?? `the proxy answered ${response.status}`)
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

// Browsers of 2024 and earlier have no JSON forms of these, so they are made by hand.
const toBytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))

const toText = (bytes: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const described = (list: unknown): PublicKeyCredentialDescriptor[] =>
  ((list ?? []) as readonly Described[]).map(({ id, transports }) => ({
    type: 'public-key',
    id: toBytes(id),
    ...(transports === undefined || transports.length === 0 ? {} : { transports: [...transports] }),
  }))

async function createKey(options: Readonly<Record<string, unknown>>): Promise<unknown> {
  const user = options.user as { id: string; name: string; displayName: string }
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge as string),
    user: { ...user, id: toBytes(user.id) },
    excludeCredentials: described(options.excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null
  if (made === null) throw new Error('the browser made no key')
  const response = made.response as AuthenticatorAttestationResponse
  return {
    id: made.id,
    rawId: toText(made.rawId),
    type: 'public-key',
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      attestationObject: toText(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  }
}

async function useKey(options: Readonly<Record<string, unknown>>): Promise<unknown> {
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge as string),
    allowCredentials: described(options.allowCredentials),
  } as unknown as PublicKeyCredentialRequestOptions
  const used = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null
  if (used === null) throw new Error('the browser used no key')
  const response = used.response as AuthenticatorAssertionResponse
  return {
    id: used.id,
    rawId: toText(used.rawId),
    type: 'public-key',
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
    },
  }
}

/** The words of browsers about keys are for programmers. */
function keyTrouble(error: unknown): string {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError') return 'No key answered in time, or it was cancelled. Try again.'
  if (name === 'InvalidStateError') return 'This key is enrolled already. Use another one.'
  if (name === 'SecurityError')
    return 'The browser does not allow security keys at this address. Open the proxy by its configured name.'
  return messageOf(error)
}

const secretOfPath = (): string => location.pathname.split('/').filter(Boolean).at(-1) ?? ''

// --- The page on which tsh's ceremony is finished ---------------------------------------------------------------------

async function ceremonyPage(): Promise<void> {
  const id = secretOfPath()
  const button = element<HTMLButtonElement>('use-key')
  let ceremony = await call<Ceremony>('/webapi/ceremonies/open', { id })
  element('title').textContent = `${ceremony.title}?`
  element('phrase').textContent = ceremony.phrase
  const list = element('details')
  const rows: readonly (readonly [string, string])[] = [
    ['User', ceremony.user],
    ['Cluster', ceremony.clusterName],
    ...ceremony.details,
    ['Asked from', ceremony.address],
  ]
  for (const [label, value] of rows) {
    const term = document.createElement('dt')
    term.textContent = label
    const text = document.createElement('dd')
    text.textContent = value
    list.append(term, text)
  }
  element('ask').hidden = false
  say('')
  let isFresh = true
  button.addEventListener('click', async () => {
    button.disabled = true
    say('Touch your security key.')
    try {
      // A challenge is good for one try.
      if (!isFresh) ceremony = await call<Ceremony>('/webapi/ceremonies/open', { id })
      isFresh = false
      const answer =
        ceremony.create === undefined
          ? { id, assertion: await useKey(ceremony.get ?? {}) }
          : { id, attestation: await createKey(ceremony.create) }
      const { redirect } = await call<{ redirect: string }>('/webapi/ceremonies/answer', answer)
      // The proxy could not name another place, but whoever changed its answer could.
      if (!/^http:\/\/(127\.0\.0\.1|\[::1\]):\d{1,5}\/callback\?/.test(redirect))
        throw new Error('an unexpected address')
      say('Done. Go back to the terminal.')
      location.replace(redirect)
    } catch (error) {
      say(keyTrouble(error), true)
      button.disabled = false
    }
  })
}

// --- Sign-up and reset ------------------------------------------------------------------------------------------------

async function invitePage(): Promise<void> {
  const token = secretOfPath()
  const invite = await call<Invite>('/webapi/invites/open', { token })
  element('user').textContent = invite.user
  input('password').minLength = invite.minPasswordLength
  element('password-hint').textContent = `At least ${invite.minPasswordLength} characters.`
  input('password').addEventListener('input', () => showStrength(invite))
  showFactors(invite)
  const form = element<HTMLFormElement>('signup')
  form.hidden = false
  say('')
  const button = element<HTMLButtonElement>('finish')
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    button.disabled = true
    try {
      await finish(token, form)
    } catch (error) {
      say(keyTrouble(error), true)
      button.disabled = false
    }
  })
}

const strengths = ['too short', 'weak', 'fair', 'good', 'strong'] as const

/**
 * What a guesser has to try, roughly: the kinds of characters and how many different ones there are, never more than the length
 * says. It only advises; the length is what the server insists on.
 */
function strengthOf(password: string, { minPasswordLength, user }: Invite): number {
  if (password.length < minPasswordLength) return 0
  if (user !== '' && password.toLowerCase().includes(user.toLowerCase())) return 1
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(password)).length
  const different = new Set(password).size
  const bits = Math.min(password.length, different * 1.5) * Math.log2(10 + kinds * 16)
  if (bits < 45) return 1
  if (bits < 65) return 2
  return bits < 85 ? 3 : 4
}

function showStrength(invite: Invite): void {
  const password = input('password').value
  const strength = strengthOf(password, invite)
  element<HTMLMeterElement>('strength').value = strength
  element('strength-words').textContent = password === '' ? '' : (strengths[strength] ?? '')
}

const tasks: Readonly<Record<string, string>> = {
  off: 'Set a password.',
  otp: 'Set a password, and add an authenticator app: its codes are asked for at every login.',
  webauthn: 'Set a password, and enrol a security key: it is asked for at every login.',
  optional: 'Set a password, and a second factor if you like.',
}

function showFactors({ otp, qr, webauthn, secondFactor }: Invite): void {
  const choices = { app: otp !== undefined, key: webauthn, none: secondFactor === 'optional' }
  if (otp !== undefined) {
    element('secret').textContent = otp.secret
    if (qr !== undefined) drawQr(qr)
  }
  const offered = Object.entries(choices).filter(([, isThere]) => isThere)
  for (const [name, isThere] of Object.entries(choices)) element(`choice-${name}`).hidden = !isThere
  element('factors').hidden = offered.length === 0
  // Keys are for browsers.
  element('terminal').hidden = secondFactor === 'webauthn'
  element('task').textContent = tasks[secondFactor] ?? 'Set a password and a second factor.'
  const [first] = offered
  const show = () => {
    const chosen = chosenFactor()
    element('app').hidden = chosen !== 'app'
    element('key').hidden = chosen !== 'key'
    input('code').required = chosen === 'app'
  }
  if (first !== undefined) input(`factor-${first[0]}`).checked = true
  for (const name of Object.keys(choices)) input(`factor-${name}`).addEventListener('change', show)
  show()
}

const chosenFactor = (): string | undefined =>
  document.querySelector<HTMLInputElement>('input[name=factor]:checked')?.value

function drawQr({ size, path }: { readonly size: number; readonly path: string }): void {
  const space = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(space, 'svg')
  // Readers need four light modules around it.
  svg.setAttribute('viewBox', `-4 -4 ${size + 8} ${size + 8}`)
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', 'QR code of the secret below')
  const ground = document.createElementNS(space, 'path')
  ground.setAttribute('d', `M-4 -4h${size + 8}v${size + 8}h-${size + 8}z`)
  ground.setAttribute('fill', '#fff')
  const dark = document.createElementNS(space, 'path')
  dark.setAttribute('d', path)
  dark.setAttribute('fill', '#000')
  svg.append(ground, dark)
  element('qr').replaceChildren(svg)
}

async function finish(token: string, form: HTMLFormElement): Promise<void> {
  const password = input('password').value
  if (password !== input('again').value) throw new Error('The two passwords differ.')
  const chosen = chosenFactor()
  const body: Record<string, unknown> = { token, password }
  if (chosen === 'app') body.otp = input('code').value.replaceAll(/\s/g, '')
  if (chosen === 'key') {
    say('Touch your security key.')
    const options = await call<Readonly<Record<string, unknown>>>('/webapi/invites/webauthn', { token })
    body.webauthn = await createKey(options)
    const name = input('key-name').value.trim()
    if (name !== '') body.deviceName = name
  }
  const { recoveryCodes } = await call<{ recoveryCodes?: readonly string[] }>('/webapi/invites/accept', body)
  form.hidden = true
  const list = element('codes')
  for (const code of recoveryCodes ?? []) {
    const item = document.createElement('li')
    const text = document.createElement('code')
    text.textContent = code
    item.append(text)
    list.append(item)
  }
  element('recovery').hidden = (recoveryCodes ?? []).length === 0
  element('copy').addEventListener('click', () => copyCodes(recoveryCodes ?? []))
  // The link is used up: how else it could have been used is of no interest any more.
  element('lead').hidden = true
  element('instead').hidden = true
  element('done').hidden = false
  element('done').focus()
  say('')
}

async function copyCodes(codes: readonly string[]): Promise<void> {
  try {
    await navigator.clipboard.writeText(codes.join('\n'))
    element('copied').textContent = 'Copied.'
  } catch {
    element('copied').textContent = 'The browser does not allow it: mark them and copy them by hand.'
  }
}

const page = document.body.dataset.page === 'ceremony' ? ceremonyPage() : invitePage()
page.catch((error: unknown) => say(messageOf(error), true))
