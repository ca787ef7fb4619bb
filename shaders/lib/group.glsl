/* SPDX-License-Identifier: MIT */
/*
 * Workgroups in one dimension. The lowering folds a long row of groups into
 * x and y (a device may stop at 65,535 of either), so a group asks here for
 * its number; numbers past the end happen and the shader returns there.
 */
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(constant_id = 0) const uint WIDTH = 32;	/* invocations of a workgroup */

uint group_number()
{
	return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}
