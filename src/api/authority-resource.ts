/** `kind: cert_authority` as text: public for everybody, with private keys for a backup. */

import { z } from 'zod'
import { oneOf, parseYamlValue, strictObject, type YamlDocument, yamlString } from '../common/yaml.ts'
import type { Authority } from './model.ts'
import type { AuthoritySecrets } from './secret-routes.ts'

/** As `tctl get` prints it; with the secrets, `teleport start --bootstrap` reads it. */
export function authorityResource({ type, clusterName, keys }: Authority, secrets?: AuthoritySecrets['key']) {
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: clusterName },
    spec: {
      type,
      cluster_name: clusterName,
      checking_keys: keys,
      ...(secrets === undefined
        ? {}
        : { signing_key: { public_key: secrets.publicKey, private_key: secrets.privateKey } }),
    },
  }
}

const type = oneOf(['user', 'host'])
const schema = strictObject({
  kind: z.literal('cert_authority'),
  sub_kind: type,
  version: oneOf(['v2']),
  metadata: strictObject({ name: yamlString, id: z.unknown().optional(), revision: z.unknown().optional() }),
  spec: strictObject({
    type,
    cluster_name: yamlString,
    checking_keys: z.array(yamlString).max(16).optional(),
    signing_key: strictObject({ public_key: yamlString, private_key: yamlString }),
  }),
})

/** With secrets. Throws BadParameter with `file:line: key: what`. */
export function parseAuthority(document: YamlDocument): AuthoritySecrets {
  const { metadata, spec } = parseYamlValue(schema, document)
  const { public_key: publicKey, private_key: privateKey } = spec.signing_key
  return { type: spec.type, clusterName: metadata.name, key: { publicKey, privateKey } }
}
