/**
 * What the page in a browser may ask auth as its user: `METHOD /webapi/v1/…` for each `METHOD /v1/…` named here. Auth decides about each
 * call as it does about a call of `tsh`. Named one by one, since what gives out certificates must not be here: the page has no use
 * for one, and a script that got into it would carry it away.
 */

import { z } from 'zod'
import type { Endpoint } from './endpoint.ts'
import { callback, mfaAction } from './mfa-model.ts'
import * as routes from './routes.ts'

/** A tap that stands for a certificate is nothing that a page may ask for. */
const accountCeremony: Endpoint = {
  ...routes.startCeremony,
  body: z.strictObject({
    action: mfaAction.refine(({ kind }) => ['add_device', 'remove_device', 'recovery_codes'].includes(kind), {
      message: 'a page may ask for a proof about the devices of its user only',
    }),
    callback,
  }),
}

export const pageEndpoints: readonly Endpoint[] = [
  routes.getStatus,
  routes.getConfig,
  routes.listAuthorities,
  routes.getRotation,
  routes.rotateAuthorities,
  routes.listPresence,
  routes.explainAccess,
  routes.deletePresence,
  routes.createToken,
  routes.listTokens,
  routes.deleteToken,
  routes.createUser,
  routes.listUsers,
  routes.getUser,
  routes.putUser,
  routes.deleteUser,
  routes.resetUser,
  routes.listUserDevices,
  routes.removeUserDevice,
  routes.listRoles,
  routes.getRole,
  routes.putRole,
  routes.deleteRole,
  routes.getAuthPreference,
  routes.putAuthPreference,
  routes.resetAuthPreference,
  routes.getNetworkingConfig,
  routes.putNetworkingConfig,
  routes.resetNetworkingConfig,
  routes.getRecordingConfig,
  routes.putRecordingConfig,
  routes.resetRecordingConfig,
  routes.createLock,
  routes.listLocks,
  routes.getLock,
  routes.deleteLock,
  routes.createAccessRequest,
  routes.listAccessRequests,
  routes.listRequestableRoles,
  routes.getAccessRequest,
  routes.reviewAccessRequest,
  routes.resolveAccessRequest,
  routes.deleteAccessRequest,
  routes.listSessions,
  routes.getSession,
  routes.listRecordings,
  routes.getRecording,
  routes.readRecording,
  routes.searchEvents,
  routes.exportEvents,
  routes.verifyEvents,
  accountCeremony,
  routes.beginMfaDevice,
  routes.addMfaDevice,
  routes.listMfaDevices,
  routes.removeMfaDevice,
  routes.newRecoveryCodes,
  routes.listWebSessions,
  routes.deleteWebSession,
]

export const pagePrefix = '/webapi'
