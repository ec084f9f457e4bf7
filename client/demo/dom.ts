// The few things the page does with the document, typed.

/** The element with this id. Throws when the page has none: the two don't belong together then. */
export function byId<Type extends Element>(id: string, type: new () => Type): Type {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} #${id}`)
  return element
}

/** The first match below `parent`. Throws when there is none. */
export function find<Type extends Element>(parent: ParentNode, selector: string, type: new () => Type): Type {
  const element = parent.querySelector(selector)
  if (!(element instanceof type)) throw new Error(`no ${type.name} ${selector} there`)
  return element
}

/** A copy of what the template holds. */
export function fromTemplate(id: string): HTMLElement {
  const copy = byId(id, HTMLTemplateElement).content.firstElementChild?.cloneNode(true)
  if (!(copy instanceof HTMLElement)) throw new Error(`the template #${id} is empty`)
  return copy
}

export function button(text: string, onClick: () => void): HTMLButtonElement {
  const made = document.createElement('button')
  made.type = 'button'
  made.className = 'button quiet'
  made.textContent = text
  made.addEventListener('click', onClick)
  return made
}
