package org.lvtmobile.core

import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable

/**
 * A panoptic model in parts: three entry points, with steps of this code between them.
 *
 * 1. `core`: image to pyramid, RPN maps and semantic logits.
 * 2. [ProposalFinder]: proposals from the RPN maps; [BoxFeatures] of each.
 * 3. `boxes`: features of a batch of boxes to class scores and deltas.
 * 4. [DetectionFinder]: detections; [BoxFeatures] of each.
 * 5. `masks`: features of a batch of detections to the mask of each one's class.
 *
 * @property entryPoints `core`, `boxes` and `masks`.
 */
@Serializable
data class PartsInfo(
    @SerialName("entry_points") val entryPoints: List<EntryPointInfo>,
    val host: HostConstants,
) {
    /** The entry point with a name. */
    fun entryPoint(name: String): EntryPointInfo = entryPoints.single { it.name == name }
}

/** One function of a model in parts. */
@Serializable
data class EntryPointInfo(
    val name: String,
    val inputs: List<Manifest.TensorInfo>,
    val outputs: List<Manifest.TensorInfo>,
)

/**
 * Every number that the steps between the entry points use. Boxes are in pixels of the network image.
 *
 * @property image size of the network image; boxes are clipped to it.
 * @property levels the pyramid from the finest level, usually `p2` to `p6`.
 * @property featureLevels number of levels, from the finest, that features of boxes are read from.
 * @property finestScale boxes whose sqrt(area) is below twice this use the finest level.
 * @property channels of the pyramid.
 * @property things number of thing classes.
 * @property rpnStds factors of the RPN's deltas.
 * @property roiStds factors of the deltas of `boxes`.
 * @property maxLogScale limit of a decoded log scale.
 * @property perLevel number of anchors of a level, the best ones, that are decoded.
 * @property proposals number of proposals that are kept.
 * @property proposalIou a proposal is dropped if its IoU with a better one of its level is higher.
 * @property boxSize side of the grid of a box's features for `boxes`.
 * @property boxBatch number of boxes in one call of `boxes`.
 * @property scoreThreshold the score of a detection is higher.
 * @property detectionIou a detection is dropped if its IoU with a better one is higher.
 * @property detections number of detections that are kept.
 * @property maskSize side of the grid of a detection's features for `masks`.
 * @property maskBatch number of detections in one call of `masks`.
 */
@Serializable
data class HostConstants(
    val image: Size,
    val levels: List<PyramidLevel>,
    @SerialName("feature_levels") val featureLevels: Int,
    @SerialName("finest_scale") val finestScale: Double,
    val channels: Int,
    val things: Int,
    @SerialName("rpn_stds") val rpnStds: List<Double>,
    @SerialName("roi_stds") val roiStds: List<Double>,
    @SerialName("max_log_scale") val maxLogScale: Double,
    @SerialName("per_level") val perLevel: Int,
    val proposals: Int,
    @SerialName("proposal_iou") val proposalIou: Double,
    @SerialName("box_size") val boxSize: Int,
    @SerialName("box_batch") val boxBatch: Int,
    @SerialName("score_threshold") val scoreThreshold: Double,
    @SerialName("detection_iou") val detectionIou: Double,
    val detections: Int,
    @SerialName("mask_size") val maskSize: Int,
    @SerialName("mask_batch") val maskBatch: Int,
)

/**
 * One level of the feature pyramid.
 *
 * @property stride network pixels per cell.
 * @property cells size of the level's maps.
 * @property anchors boxes around the origin, in network pixels, in the order of the RPN's channels.
 */
@Serializable
data class PyramidLevel(
    val name: String,
    val stride: Int,
    val cells: Size,
    val anchors: List<List<Double>>,
)
