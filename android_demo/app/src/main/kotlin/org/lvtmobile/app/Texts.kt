package org.lvtmobile.app

import android.content.Context
import java.text.NumberFormat

/** The name of a segment, with its score. */
internal fun SegmentInfo.title(context: Context): String =
    if (score == null) name else context.getString(R.string.name_and_share, name, percent(score.toDouble()))

/** A share as percents in the language of the user. */
internal fun percent(share: Double, digits: Int = 0): String =
    NumberFormat.getPercentInstance().apply { maximumFractionDigits = digits }.format(share)

/** A share that is not rounded up to 100%: two predictions that differ in one pixel are not the same. */
internal fun agreementPercent(share: Double): String =
    percent(if (share < 1) kotlin.math.floor(share * 1000) / 1000 else 1.0, digits = 1)

/** A time in milliseconds, with one decimal below ten. */
internal fun Context.milliseconds(value: Double): String =
    getString(if (value < 10) R.string.milliseconds_short else R.string.milliseconds, value)

/** The accelerator of a model, and how many operators it runs. */
internal fun ModelInfo.accelerationText(context: Context): String = when {
    placement != null ->
        context.getString(R.string.placement, accelerator.uppercase(), placement.accelerated, placement.total)
    accelerator == "cpu" || accelerator == "qnn" -> context.getString(R.string.placement_all, accelerator.uppercase())
    else -> context.getString(R.string.placement_unknown, accelerator.uppercase())
}

/** What runs, in one line. */
internal fun ModelInfo.runtimeText(context: Context): String =
    context.resources.getQuantityString(R.plurals.runtime_line, threads, runtime, precision, threads)

/** The loud message about a runtime that did not start; null if the selected one runs. */
internal fun ModelInfo.fallbackText(context: Context): String? = fallback?.let {
    if (it.message.isEmpty()) {
        context.getString(R.string.fallback_unfinished, it.runtime, runtime)
    } else {
        context.getString(R.string.fallback_refused, it.runtime, runtime, it.message)
    }
}

/** Android's level of throttling because of heat. */
internal fun Context.thermalText(status: Int): String =
    resources.getStringArray(R.array.thermal_status).let { it[status.coerceIn(it.indices)] }

/** The figures of all models as text, to share. */
internal fun DemoState.report(context: Context): String = buildString {
    models.zip(results).forEach { (model, result) ->
        appendLine("${model.name}: ${model.runtimeText(context)}, ${model.runtime} ${model.version}")
        appendLine(model.accelerationText(context))
        model.fallbackText(context)?.let(::appendLine)
        val latency = result.latency ?: return@forEach
        appendLine(context.getString(R.string.report_total, latency.total.median, latency.total.p90, latency.history.size))
        for ((stage, time) in latency.stages) {
            appendLine(context.getString(R.string.report_stage, context.getString(stage.label), time.median, time.p90))
        }
    }
    agreement?.let { appendLine(context.getString(R.string.agreement, agreementPercent(it.share))) }
    thermalStatus?.let { appendLine(context.getString(R.string.thermal, context.thermalText(it))) }
    append("${android.os.Build.MANUFACTURER} ${android.os.Build.MODEL}, Android ${android.os.Build.VERSION.RELEASE}")
}

/** The name of a stage. */
internal val FrameStage.label: Int
    get() = when (this) {
        FrameStage.PREPROCESS -> R.string.stage_preprocess
        FrameStage.INFER -> R.string.stage_infer
        FrameStage.POSTPROCESS -> R.string.stage_postprocess
        FrameStage.RENDER -> R.string.stage_render
    }
