import { firstDeploy, newImage, newSize, recovery, rollBack } from '../../support/deploy-scenarios.ts';
import { itComesToTheSameEnd } from '../../support/overlapping-deploys.ts';

for (const scenario of [firstDeploy, newImage, newSize, rollBack, recovery]) itComesToTheSameEnd(scenario, 30);
