/** What the endpoints for second factors do. */

import type { FastifyInstance } from 'fastify'
import * as routes from '../../api/routes.ts'
import { serve } from '../../api/serve.ts'
import { BadParameter } from '../../errors/errors.ts'
import type { Services } from '../services.ts'

export function mountFactors(app: FastifyInstance, services: Services): void {
  const { sessionCertificates, devices, otherDevices, ceremonies, ceremonyPages, logins, invites, users } = services
  serve(app, routes.listMfaDevices, ({ caller }) => devices.list(caller))
  serve(app, routes.beginMfaDevice, ({ caller, body }) => devices.begin(caller, body))
  serve(app, routes.addMfaDevice, ({ caller, body }) => devices.add(caller, body))
  serve(app, routes.removeMfaDevice, ({ caller, body }) => devices.remove(caller, body.action, body.proof))
  serve(app, routes.newRecoveryCodes, async ({ caller, body }) => ({
    codes: await devices.newCodes(caller, body.proof),
  }))
  serve(app, routes.startCeremony, async ({ caller, body }) => {
    const { action, callback } = body
    // A login begins with a password, which a page of somebody else's must not stand for.
    if (action.kind === 'login') throw new BadParameter('action', 'a login begins at the proxy')
    if (action.kind === 'change_password')
      throw new BadParameter('action', 'another password begins with the present one, at the proxy')
    if (action.kind === 'grant') sessionCertificates.checkGrant(caller, action)
    const user = (await users.get(caller.name)).value
    return ceremonies.start({ user, action, type: 'get', callback, address: caller.address })
  })
  serve(app, routes.checkSessionMfa, ({ caller, body }) => sessionCertificates.check(caller, body.host, body.joining))
  serve(app, routes.sessionCertificate, ({ caller, body }) =>
    sessionCertificates.session(caller, body.action, body.proof),
  )
  serve(app, routes.grantCertificate, ({ caller, body }) => sessionCertificates.grant(caller, body.action, body.proof))

  serve(app, routes.listUserDevices, ({ caller, params }) => otherDevices.list(caller, params.name))
  serve(app, routes.removeUserDevice, ({ caller, params }) => otherDevices.remove(caller, params.name, params.id))

  serve(app, routes.beginLogin, ({ body }) => logins.begin(body))
  serve(app, routes.startLoginCeremony, ({ body }) => logins.startCeremony(body))
  serve(app, routes.openCeremony, ({ body }) => ceremonyPages.open(body.id, body.client.address))
  serve(app, routes.answerCeremony, ({ body }) => ceremonyPages.answer(body, body.client.address))
  serve(app, routes.beginInviteKey, ({ body }) => invites.beginKey(body.token, body.client.address))
}
