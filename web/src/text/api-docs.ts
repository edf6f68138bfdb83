/** The words of the documents of the API. */

export const apiDocsText = {
  title: 'Web API',
  search: 'Search by path or words',
  none: 'Nothing matches',
  file: 'OpenAPI document',
  refused: 'These documents are for those who administer something.',
  calls: 'Calls',
  needs: (resource: string, verb: string) => `Needs the rule ${resource}: ${verb}`,
  self: 'Limited to what is one’s own',
  any: 'Anybody who is logged in',
  parameters: 'Parameters',
  body: 'Request body',
  answer: 'Answer',
  lines: 'Answer, each line',
  required: 'required',
  errors: 'Errors have the form {"error": {"kind", "message"}}.',
  open: (what: string) => `Details of ${what}`,
} as const
