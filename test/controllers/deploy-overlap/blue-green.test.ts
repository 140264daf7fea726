import { newColourTornDown, oldColourTornDown, secondColour } from '../../support/deploy-scenarios.ts';
import { itComesToTheSameEnd } from '../../support/overlapping-deploys.ts';

for (const scenario of [secondColour, oldColourTornDown, newColourTornDown]) itComesToTheSameEnd(scenario, 30);
