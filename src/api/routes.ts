/** The auth API: HTTP/JSON inside SSH channels on port 3025. No logic here; `src/auth` serves it, `client.ts` calls it. */

export * from './audit-routes.ts'
export * from './cluster-routes.ts'
export { explainAccess } from './explain-routes.ts'
export * from './lease-routes.ts'
export * from './lock-routes.ts'
export * from './login-routes.ts'
export * from './machine-routes.ts'
export * from './mfa-routes.ts'
export * from './recording-routes.ts'
export * from './request-routes.ts'
export * from './rotation-routes.ts'
export { exportAuthorities, exportCredentials, restoreCredentials } from './secret-routes.ts'
export * from './session-routes.ts'
export * from './settings-routes.ts'
export * from './user-routes.ts'
export {
  checkWebSession,
  deleteWebSession,
  endWebSession,
  listWebSessions,
  openWebSession,
  renewWebSession,
} from './web-session-routes.ts'
