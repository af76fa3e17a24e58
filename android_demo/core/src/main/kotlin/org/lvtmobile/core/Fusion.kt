package org.lvtmobile.core

/** Instance number k of a thing class has the id `label + INSTANCE_OFFSET * k` in a panoptic map. */
const val INSTANCE_OFFSET: Int = 1000

/** Added to the pixel count of a mask, so that an overlap equal to the limit passes in any float precision. */
private const val OVERLAP_EPSILON = 1e-5

/**
 * One segment of a panoptic map: a thing instance or a stuff class.
 *
 * @property id value in the map: the label for stuff, label + 1000 k for instance k of a thing class.
 * @property label class index.
 * @property area number of pixels in the map.
 * @property detection index of the detection; null for stuff.
 */
data class Segment(val id: Int, val label: Int, val area: Int, val detection: Int?)

/**
 * A panoptic map: one segment per pixel.
 *
 * @property ids a segment id per pixel, or [void].
 * @property segments instances by falling score, then stuff by label. Does not contain void.
 * @property void the id of pixels without a segment.
 */
class PanopticMap(val ids: LabelMap, val segments: List<Segment>, val void: Int)

/**
 * Fuses instance masks and semantic labels to a panoptic map.
 *
 * 1. Start with label = semantic channel + number of things. The last channel ("some thing") is void.
 * 2. Process instances by falling score. Drop an instance if it has no pixels, or if instances with a
 *    higher score occupy more than `maxOverlap` of its pixels. The k-th instance that is kept writes
 *    label + 1000 k to its free pixels, also over stuff.
 * 3. Stuff with fewer than `minStuffArea` remaining pixels becomes void.
 *
 * @param mask returns the mask of an instance; masks may overlap. Called once per instance, by falling score. The
 *   result is not used after the next call, so the caller need not keep the masks of all instances in memory.
 * @param scores scores of the instances, in any order. Instances with equal scores keep their order.
 * @param labels labels of the instances, 0 to things-1.
 * @param semantic channel of the semantic head per pixel: stuff classes, then "some thing".
 */
fun fuse(
    mask: (Int) -> PastedMask,
    scores: FloatArray,
    labels: IntArray,
    semantic: LabelMap,
    config: Manifest.PanopticInfo,
): PanopticMap {
    val things = config.things
    val void = things + config.stuff
    val ids = IntArray(semantic.values.size) { semantic.values[it] + things }
    val width = semantic.size.width
    val threshold = config.fusion.maskThreshold.toFloat()
    val segments = mutableListOf<Segment>()
    for (index in scores.indices.sortedByDescending { scores[it] }) {
        var maskArea = 0
        var freeArea = 0
        val pasted = mask(index)
        pasted.forEachPixel(width, threshold) { pixel ->
            maskArea++
            if (ids[pixel] < INSTANCE_OFFSET) freeArea++
        }
        if (maskArea == 0 || (maskArea - freeArea) / (maskArea + OVERLAP_EPSILON) > config.fusion.maxOverlap) continue
        val id = labels[index] + INSTANCE_OFFSET * (segments.size + 1)
        pasted.forEachPixel(width, threshold) { pixel ->
            if (ids[pixel] < INSTANCE_OFFSET) ids[pixel] = id
        }
        segments += Segment(id, labels[index], freeArea, detection = index)
    }
    val stuffAreas = IntArray(void + 1)
    for (id in ids) if (id <= void) stuffAreas[id]++
    for (pixel in ids.indices) {
        if (ids[pixel] < void && stuffAreas[ids[pixel]] < config.fusion.minStuffArea) ids[pixel] = void
    }
    for (label in things until void) {
        if (stuffAreas[label] > 0 && stuffAreas[label] >= config.fusion.minStuffArea) {
            segments += Segment(label, label, stuffAreas[label], detection = null)
        }
    }
    return PanopticMap(LabelMap(semantic.size, ids), segments, void)
}
