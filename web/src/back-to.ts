/** Where somebody was going before they had to log in: a path of this page, and nothing that a browser would read as another place. */

const home = '/web/nodes'

export function backTo(wanted: unknown): string {
  // A second slash or a backslash would name another host; control characters are dropped by browsers, and could hide one.
  if (typeof wanted !== 'string' || !/^\/(web(\/[\w-]*|(\/[\w-]+){2})?|docs\/api)(\?[\w=&%.~+-]*)?$/.test(wanted))
    return home
  return wanted.startsWith('/web/login') || wanted === '/web' ? home : wanted
}
