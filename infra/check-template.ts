// Part of `npm run check`: packages serverless.yml, once with what is required and once with every param, and checks both
// templates against AWS's resource specification. A line for each fault; exit code 1 if there is any.

import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { packageService } from './package-service.ts';
import { checkTemplate } from './template-checker.ts';

const REQUIRED = { cluster: 'prod' };
const EVERY = {
  ...REQUIRED,
  endpoint: 'https://prod.example.com',
  certificateAuthority: 'LS0tLS1CRUdJTg==',
  namespaces: 'flink,team-a',
  subnetIds: 'subnet-1,subnet-2',
  securityGroupIds: 'sg-1',
  alarmTopicArn: 'arn:aws:sns:eu-west-1:123456789012:on-call',
  logRetentionInDays: '30',
  scalingOnly: 'true',
};

const specification = loadAwsServiceSpecSync();

for (const [variant, params] of Object.entries({ 'required params': REQUIRED, 'every param': EVERY })) {
  const { template } = await packageService(params);
  const faults = checkTemplate(template, specification);
  for (const { path, message } of faults) console.error(`template (${variant}): ${path}: ${message}`);
  if (faults.length > 0) process.exitCode = 1;
  else console.log(`template (${variant}): ${Object.keys(template.Resources).length} resources, no fault`);
}
