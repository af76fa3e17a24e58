package org.lvtmobile.app

import android.app.Activity
import android.content.Context
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.junit.Assume.assumeTrue
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import java.io.File
import java.util.concurrent.TimeUnit

private const val PATIENCE_NANOSECONDS = 60_000_000_000L

internal val context: Context get() = RuntimeEnvironment.getApplication()

/** Lets the main thread and the app's own go on until something holds; a minute is a failure. */
internal fun await(what: String, holds: () -> Boolean) {
    val end = System.nanoTime() + PATIENCE_NANOSECONDS
    while (!holds()) {
        check(System.nanoTime() < end) { "still not: $what" }
        TimeUnit.MILLISECONDS.sleep(5)
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }
}

/** What can be read on the screen, buttons included. */
internal fun Activity.words(): List<String> = visible().filterIsInstance<TextView>().map { "${it.text}" }

internal fun Activity.says(part: String): Boolean = words().any { part in it }

internal fun Activity.press(label: String) {
    check(visible().filterIsInstance<TextView>().single { "${it.text}" == label }.performClick()) { "$label does nothing" }
}

internal inline fun <reified T : View> Activity.one(): T = visible().filterIsInstance<T>().single()

private fun Activity.visible(): List<View> = visible(window.decorView)

private fun visible(view: View): List<View> = when {
    view.visibility != View.VISIBLE -> emptyList()
    view is ViewGroup -> listOf(view) + (0 until view.childCount).flatMap { visible(view.getChildAt(it)) }
    else -> listOf(view)
}

/** Puts an artifact of this machine where `adb push` puts it. */
internal fun push(model: File) {
    assumeTrue("$model is missing; `make android` exports it", model.isFile)
    for (file in listOf(model, File("$model.json"))) file.copyTo(File(context.modelFolders().first(), file.name))
}

internal val demo: File get() = File(System.getProperty("lvt.artifact"))

internal fun golden(name: String): File = File(System.getProperty("lvt.golden"), name)
