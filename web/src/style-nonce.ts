/**
 * The policy of this page lets in no style sheet that is written into it, but those with the number of this very page. Libraries that
 * make style sheets (the terminal, the dialogs) do not know of it, so each one that is made gets it here.
 */

export const styleNonce = document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce ?? ''

const create = document.createElement.bind(document)
document.createElement = ((name: string, options?: ElementCreationOptions) => {
  const element = create(name, options)
  if (element instanceof HTMLStyleElement) element.nonce = styleNonce
  return element
}) as typeof document.createElement

// A style as an attribute is refused too; set through the object model it is not. The terminal colours its text so.
const setAttribute = Element.prototype.setAttribute
Element.prototype.setAttribute = function (name: string, value: string) {
  if (name === 'style' && this instanceof HTMLElement) this.style.cssText = value
  else setAttribute.call(this, name, value)
}
