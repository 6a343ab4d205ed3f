// cdk-nag's AwsSolutions rules over a template: `make audit`. Ends with 1 where it finds something that no suppression
// next to the resource accounts for, or where a suppression accounts for nothing.
//
// cdk-nag 3 reads no suppressions from a template (2 did), so they are held against the findings here. An id without
// brackets stands for all findings of its rule on that resource. Nothing is synthesized and nothing leaves the machine.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { AwsSolutionsChecks } from 'cdk-nag';

const folder = mkdtempSync(join(tmpdir(), 'audit-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

// As `aws cloudformation package` leaves it: CfnInclude knows no code that is a local path.
const packaged = readFileSync(process.argv[2], 'utf8').replace(/^( +Code:) .*\.zip$/m, '$1 {S3Bucket: b, S3Key: k}');
const file = join(folder, 'template.yaml');
writeFileSync(file, packaged);
const stack = new Stack(new App({ outdir: folder }), 'audit');
new CfnInclude(stack, 'template', { templateFile: file });

const suppressions = [];
for (const node of stack.node.findAll()) {
  for (const { id, reason } of node.cfnOptions?.metadata?.cdk_nag?.rules_to_suppress ?? []) {
    suppressions.push({ resource: node.node.id, id, reason, used: false });
  }
}
const open = [];
for (const { ruleName, description, violatingResources } of new AwsSolutionsChecks().validateScope(stack).violations) {
  for (const resource of violatingResources.map((each) => basename(each.constructPath))) {
    const answers = suppressions.filter((each) => each.resource === resource && each.reason
      && (each.id === ruleName || ruleName.startsWith(`${each.id}[`)));
    answers.forEach((each) => { each.used = true; });
    if (!answers.length) open.push(`${resource}: ${ruleName}: ${description}`);
  }
}
const idle = suppressions.filter((each) => !each.used)
  .map((each) => `${each.resource}: the suppression of ${each.id} answers for nothing`);
for (const line of [...open, ...idle]) console.error(line);
console.log(`cdk-nag: ${open.length} findings, ${suppressions.length - idle.length} suppressed with a reason`);
process.exitCode = open.length + idle.length ? 1 : 0;
