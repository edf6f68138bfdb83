/** YAML output, apart so that only who prints YAML loads the library. */

export { stringify as toYaml } from 'yaml'
